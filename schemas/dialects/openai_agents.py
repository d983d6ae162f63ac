"""OpenAI Agents SDK through OpenTelemetry's own instrumentation (span-conventions 5).

Its scope name is OpenLLMetry's too, whose `traceloop.*` keys tell them apart. Every span carries the placeholder agent
`OpenAI Agent`, which is no name; the root says `invoke_agent` without an agent and is the frame of the run.
"""

from typing import Final

from schemas.dialects import genai
from schemas.dialects.view import Reading, View

NAME: Final = "openai_agents"
MARKERS: Final[frozenset[str]] = frozenset()
SCOPES: Final = frozenset({"opentelemetry.instrumentation.openai_agents"})

PLACEHOLDER: Final = "OpenAI Agent"


def read(view: View) -> Reading:
    """The span in canonical fields."""
    found = genai.read(view)
    if found.agent == PLACEHOLDER:
        found = found._replace(agent="", kind=found.operation or found.kind)
    if found.kind == "agent" and view.is_root and not found.agent:
        view.rule = "7: the trace of the SDK"
        return found._replace(kind="workflow", operation="workflow")
    return found
