from fi_instrumentation import using_session as session  # noqa: F401
from traceai_openai_agents import OpenAIAgentsInstrumentor

FLOW = "openai_agents_flow"


def connect(provider):
    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
