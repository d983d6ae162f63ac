from openinference.instrumentation import using_session as session  # noqa: F401
from openinference.instrumentation.langchain import LangChainInstrumentor

FLOW = "langgraph_flow"


def connect(provider):
    LangChainInstrumentor().instrument(tracer_provider=provider)
