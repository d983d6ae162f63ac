"""CrewAI: work is delegated by its own coworker tool, so every agent comes back to who asked it."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager

os.environ |= {"CREWAI_DISABLE_TELEMETRY": "true", "CREWAI_TRACING_ENABLED": "false", "CREWAI_STORAGE_DIR": "crew"}

from crewai import LLM, Agent, Crew, Task
from crewai.llms.providers.openai.completion import OpenAICompletion
from crewai.tools import tool
from crewai.tools.agent_tools.agent_tools import AgentTools
from desk import INSTRUCTIONS, SESSION, TASK, TOOLS, VERDICT, WORK, Turn
from model import ScriptedModel


class TextLLM(OpenAICompletion):
    """A model that cannot be asked for calls, only for text."""

    def supports_function_calling(self) -> bool:
        """It does not."""
        return False


def run(session: Callable[[str], AbstractContextManager[object]], react: bool = False) -> None:
    """One run, in its session. `react`: calls are asked for in text, and CrewAI tries a failed tool again by itself."""
    name = "Delegate work to coworker" if react else "delegate_work_to_coworker"

    def delegated(to: str) -> Turn:
        return ("call", name, {"task": TASK, "context": "refund W1", "coworker": to})

    scripts: dict[str, list[Turn]] = {
        "planner": [delegated("executor"), ("text", "Done.")],
        "executor": [*WORK, delegated("verifier"), ("text", "Checked.")],
        "verifier": [("text", VERDICT)],
    }
    if react:
        scripts["executor"].pop(2)
        scripts = {agent: [_in_text(turn) for turn in turns] for agent, turns in scripts.items()}
    model = ScriptedModel(scripts)

    def agent(name: str, **given: object) -> Agent:
        llm = (TextLLM if react else LLM)(
            model=f"scripted-{name}", provider="openai", base_url=model.url, api_key="none"
        )
        return Agent(role=name, goal=INSTRUCTIONS[name], backstory="Refund desk.", llm=llm, **given)

    verifier = agent("verifier")
    work = [tool(one.__name__)(one) for one in TOOLS]
    executor = agent("executor", tools=[*work, *AgentTools(agents=[verifier]).tools()])
    planner = agent("planner", tools=AgentTools(agents=[executor]).tools())
    plan = Task(name="plan", description=TASK, expected_output="A refund id and a CRM note.", agent=planner, context=[])
    crew = Crew(name="refund", agents=[planner, executor, verifier], tasks=[plan])
    with session(SESSION):
        crew.kickoff()
    assert not any(scripts.values()), f"turns that were not taken: {scripts}"


def _in_text(turn: Turn) -> Turn:
    if turn[0] == "text":
        return ("text", f"Thought: I now know the final answer\nFinal Answer: {turn[1]}")
    return ("text", f"Thought: next I use {turn[1]}\nAction: {turn[1]}\nAction Input: {json.dumps(turn[2])}")
