from contextlib import contextmanager

from opentelemetry import trace

FLOW = "autogen_flow"


def connect(provider):
    """AutoGen takes the global provider."""


@contextmanager
def session(name):
    attributes = {"session.id": name, "gen_ai.workflow.name": "refund"}
    with trace.get_tracer("refund-desk").start_as_current_span("handle request", attributes=attributes):
        yield
