"""Pydantic AI: agents that call each other by tools, so every one comes back to who asked it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager

from desk import INSTRUCTIONS, SESSION, TASK, VERDICT, WORK, issue_refund, lookup_order, update_crm
from model import ScriptedModel
from pydantic_ai import Agent, ModelRetry
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session: the conversation."""
    model = ScriptedModel(
        {
            "planner": [("call", "delegate_to_executor", {"plan": "refund W1"}), ("text", "Done.")],
            "executor": [*WORK, ("call", "delegate_to_verifier", {"claim": "refunded"}), ("text", "Checked.")],
            "verifier": [("text", VERDICT)],
        }
    )

    def agent(name: str) -> Agent:
        chat = OpenAIChatModel(f"scripted-{name}", provider=OpenAIProvider(base_url=model.url, api_key="none"))
        return Agent(chat, name=name, instructions=INSTRUCTIONS[name], retries=2)

    planner, executor, verifier = agent("planner"), agent("executor"), agent("verifier")
    executor.tool_plain(lookup_order)
    executor.tool_plain(update_crm)

    @executor.tool_plain(name="issue_refund")
    def refund(order_id: str, amount: float) -> dict:
        """Pay an order back."""
        try:
            return issue_refund(order_id, amount)
        except RuntimeError as error:  # any other exception ends the run
            raise ModelRetry(str(error)) from error

    @planner.tool_plain
    async def delegate_to_executor(plan: str) -> str:
        """Let the executor work."""
        return (await executor.run(plan, conversation_id=SESSION)).output

    @executor.tool_plain
    async def delegate_to_verifier(claim: str) -> str:
        """Let the verifier check."""
        said = (await verifier.run(claim, conversation_id=SESSION)).output
        assert said == VERDICT
        return said

    with session(SESSION):
        asyncio.run(planner.run(TASK, conversation_id=SESSION))
