"""Google ADK: control passes down a tree of agents by transfer_to_agent. The model is ADK's own interface, scripted."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager
from typing import Any

from desk import ABOUT, INSTRUCTIONS, SESSION, TASK, TOOLS, VERDICT, WORK, Turn
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm, LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types
from model import ScriptedModel


class Scripted(BaseLlm):
    """Takes its turns from the script."""

    source: Any

    async def generate_content_async(self, llm_request: object, stream: bool = False) -> AsyncIterator[LlmResponse]:
        turn, n, taken, given = self.source.take(self.model)
        usage = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=taken, candidates_token_count=given, total_token_count=taken + given
        )
        content = types.Content(role="model", parts=[_part(turn, n)])
        yield LlmResponse(content=content, finish_reason=types.FinishReason.STOP, usage_metadata=usage)


def _part(turn: Turn, n: int) -> types.Part:
    if turn[0] == "text":
        return types.Part(text=turn[1])
    return types.Part(function_call=types.FunctionCall(id=f"call_{n}", name=turn[1], args=turn[2]))


async def errors_to_model(tool: object, args: object, tool_context: object, error: Exception) -> dict[str, str]:
    """Without this an exception ends the run."""
    return {"status": "error", "message": str(error)}


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session."""
    with session(SESSION):
        asyncio.run(_run())


async def _run() -> None:
    model = ScriptedModel(
        {
            "planner": [("call", "transfer_to_agent", {"agent_name": "executor"})],
            "executor": [*WORK, ("call", "transfer_to_agent", {"agent_name": "verifier"})],
            "verifier": [("text", VERDICT)],
        }
    )

    def agent(name: str, **given: Any) -> LlmAgent:
        scripted = Scripted(model=f"scripted-{name}", source=model)
        return LlmAgent(name=name, model=scripted, instruction=INSTRUCTIONS[name], description=ABOUT[name], **given)

    executor = agent(
        "executor", tools=list(TOOLS), sub_agents=[agent("verifier")], on_tool_error_callback=errors_to_model
    )
    runner = InMemoryRunner(agent=agent("planner", sub_agents=[executor]), app_name="refund")
    await runner.session_service.create_session(app_name="refund", user_id="u1", session_id=SESSION)
    task = types.Content(role="user", parts=[types.Part(text=TASK)])
    said = [event async for event in runner.run_async(user_id="u1", session_id=SESSION, new_message=task)]
    assert said[-1].content.parts[0].text == VERDICT
