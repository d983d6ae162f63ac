import os
from contextlib import nullcontext as session  # noqa: F401

os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"

FLOW = "google_adk_flow"


def connect(provider):
    """ADK takes the global provider."""
