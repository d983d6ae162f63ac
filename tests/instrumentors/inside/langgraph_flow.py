"""LangGraph: three agents in a graph; control passes by tools that return Command(goto=...), as LangGraph's guide has it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated

from desk import AGENTS, INSTRUCTIONS, SESSION, TASK, TOOLS, VERDICT, WORK
from langchain.agents import create_agent
from langchain.agents.middleware import wrap_tool_call
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, StructuredTool, tool
from langchain_openai import ChatOpenAI
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import InjectedState
from langgraph.types import Command
from model import ScriptedModel


@wrap_tool_call
def errors_to_model(request, handler):
    """Without this an exception ends the run."""
    try:
        return handler(request)
    except RuntimeError as error:
        return ToolMessage(f"Error: {error}", tool_call_id=request.tool_call["id"], status="error")


def handing_over(to: str) -> StructuredTool:
    """A tool that passes control to another agent of the graph."""

    @tool(f"transfer_to_{to}", description=f"Hand over to the {to}.")
    def transfer(state: Annotated[dict, InjectedState], call_id: Annotated[str, InjectedToolCallId]) -> Command:
        said = ToolMessage(f"handed over to {to}", tool_call_id=call_id)
        return Command(goto=to, graph=Command.PARENT, update={"messages": [*state["messages"], said]})

    return transfer


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session: the thread."""
    model = ScriptedModel(
        {
            "planner": [("call", "transfer_to_executor", {})],
            "executor": [*WORK, ("call", "transfer_to_verifier", {})],
            "verifier": [("text", VERDICT)],
        }
    )
    tools = {
        "planner": [handing_over("executor")],
        "executor": [*(tool(work) for work in TOOLS), handing_over("verifier")],
        "verifier": [],
    }
    graph = StateGraph(MessagesState)
    for name in AGENTS:
        chat = ChatOpenAI(model=f"scripted-{name}", base_url=model.url, api_key="none", max_retries=0)
        agent = create_agent(
            chat, tools[name], system_prompt=INSTRUCTIONS[name], middleware=[errors_to_model], name=name
        )
        graph.add_node(name, agent)
    graph.set_entry_point("planner")
    with session(SESSION):
        team = graph.compile(name="refund")
        result = team.invoke({"messages": [HumanMessage(TASK)]}, {"configurable": {"thread_id": SESSION}})
    assert result["messages"][-1].content == VERDICT
