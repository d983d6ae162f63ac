from openinference.instrumentation import using_session as session  # noqa: F401
from openinference.instrumentation.crewai import CrewAIInstrumentor

FLOW = "crewai_flow"


def connect(provider):
    CrewAIInstrumentor().instrument(tracer_provider=provider, use_event_listener=True)
