"""Strands Agents: a Swarm, control passes by its handoff_to_agent tool; who handed over says one thing more."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from desk import INSTRUCTIONS, SESSION, TASK, TOOLS, VERDICT, WORK, Turn
from model import ScriptedModel
from strands import Agent, tool
from strands.models.openai import OpenAIModel
from strands.multiagent import Swarm


def handing_over(to: str) -> list[Turn]:
    """The turns in which an agent hands over."""
    return [("call", "handoff_to_agent", {"agent_name": to, "message": "your turn"}), ("text", "Handed over.")]


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session."""
    model = ScriptedModel(
        {
            "planner": handing_over("executor"),
            "executor": [*WORK, *handing_over("verifier")],
            "verifier": [("text", VERDICT)],
        }
    )
    attributes = {"session.id": SESSION}

    def agent(name: str, **given: object) -> Agent:
        chat = OpenAIModel(client_args={"base_url": model.url, "api_key": "none"}, model_id=f"scripted-{name}")
        return Agent(
            name=name,
            model=chat,
            system_prompt=INSTRUCTIONS[name],
            callback_handler=None,
            trace_attributes=attributes,
            **given,
        )

    agents = [agent("planner"), agent("executor", tools=[tool(work) for work in TOOLS]), agent("verifier")]
    named = {**attributes, "gen_ai.workflow.name": "refund"}
    swarm = Swarm(agents, entry_point=agents[0], id="refund", trace_attributes=named)
    with session(SESSION):
        result = swarm(TASK)
    assert str(result.results["verifier"].result).strip() == VERDICT
