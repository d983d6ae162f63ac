"""OpenAI Agents SDK: handoffs planner -> executor -> verifier, over the Responses API."""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager

from agents import Agent, ModelSettings, OpenAIResponsesModel, RunConfig, Runner, function_tool
from desk import INSTRUCTIONS, SESSION, TASK, TOOLS, VERDICT, WORK
from model import ScriptedModel
from openai import AsyncOpenAI


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session."""
    model = ScriptedModel(
        {
            "planner": [("call", "transfer_to_executor", {})],
            "executor": [*WORK, ("call", "transfer_to_verifier", {})],
            "verifier": [("text", VERDICT)],
        }
    )
    client = AsyncOpenAI(base_url=model.url, api_key="none", max_retries=0)

    def agent(name: str, **given: object) -> Agent:
        settings = ModelSettings(parallel_tool_calls=False)
        of = OpenAIResponsesModel(f"scripted-{name}", client)
        return Agent(name=name, instructions=INSTRUCTIONS[name], model=of, model_settings=settings, **given)

    verifier = agent("verifier")
    executor = agent("executor", tools=[function_tool(tool) for tool in TOOLS], handoffs=[verifier])
    planner = agent("planner", handoffs=[executor])
    with session(SESSION):
        result = asyncio.run(Runner.run(planner, TASK, run_config=RunConfig(workflow_name="refund", group_id=SESSION)))
    assert json.loads(result.final_output) == json.loads(VERDICT)
