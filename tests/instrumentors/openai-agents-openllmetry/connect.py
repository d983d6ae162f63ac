from contextlib import nullcontext as session  # noqa: F401

from agents import set_trace_processors
from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor

FLOW = "openai_agents_flow"


def connect(provider):
    set_trace_processors([])
    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
