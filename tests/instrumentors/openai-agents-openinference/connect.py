from openinference.instrumentation import using_session as session  # noqa: F401
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

FLOW = "openai_agents_flow"


def connect(provider):
    OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)
