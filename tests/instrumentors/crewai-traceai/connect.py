from fi_instrumentation import using_session as session  # noqa: F401
from traceai_crewai import CrewAIInstrumentor

FLOW = "crewai_react_flow"


def connect(provider):
    CrewAIInstrumentor().instrument(tracer_provider=provider)
