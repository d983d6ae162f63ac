"""AutoGen AgentChat: a Swarm, control passes by its own handoff tools. One span of the application's holds the run."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import Swarm
from autogen_core.models import ModelFamily
from autogen_ext.models.openai import OpenAIChatCompletionClient
from desk import INSTRUCTIONS, SESSION, TASK, TOOLS, VERDICT, WORK
from model import ScriptedModel

ABILITIES = {
    "vision": False,
    "function_calling": True,
    "json_output": True,
    "family": ModelFamily.UNKNOWN,
    "structured_output": True,
}


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session."""
    model = ScriptedModel(
        {
            "planner": [("call", "transfer_to_executor", {})],
            "executor": [*WORK, ("call", "transfer_to_verifier", {})],
            "verifier": [("text", VERDICT)],
        }
    )

    def agent(name: str, **given: object) -> AssistantAgent:
        client = OpenAIChatCompletionClient(
            model=f"scripted-{name}", base_url=model.url, api_key="none", max_retries=0, model_info=ABILITIES
        )
        return AssistantAgent(name, client, system_message=INSTRUCTIONS[name], description=name, **given)

    with session(SESSION):
        team = Swarm(
            [
                agent("planner", handoffs=["executor"]),
                agent("executor", handoffs=["verifier"], tools=list(TOOLS), max_tool_iterations=8),
                agent("verifier"),
            ],
            name="refund",
            termination_condition=TextMentionTermination("verdict", sources=["verifier"]),
        )
        result = asyncio.run(team.run(task=TASK))
    assert result.messages[-1].content == VERDICT
