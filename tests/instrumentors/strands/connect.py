from contextlib import nullcontext as session  # noqa: F401

FLOW = "strands_flow"


def connect(provider):
    """Strands takes the global provider."""
