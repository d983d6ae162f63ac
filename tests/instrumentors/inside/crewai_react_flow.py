"""CrewAI without native tool calls: traceAI sees only calls that the model asks for in text (ReAct)."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import crewai_flow


def run(session: Callable[[str], AbstractContextManager[object]]) -> None:
    """One run, in its session."""
    crewai_flow.run(session, react=True)
