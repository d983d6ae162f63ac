from contextlib import nullcontext as session  # noqa: F401

from pydantic_ai import Agent
from pydantic_ai.models.instrumented import InstrumentationSettings

FLOW = "pydantic_ai_flow"


def connect(provider):
    Agent.instrument_all(InstrumentationSettings(tracer_provider=provider, version=5))
