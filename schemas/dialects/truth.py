"""Task truth that a root span carries, in any channel that reaches it (span-conventions 6.5).

No convention has a place for it, so there are several: our own attributes, the same keys in the metadata of whoever stamps some,
and Langfuse's experiment items. Values arrive as texts. What the text means is `schemas.expectation`'s business.
"""

from typing import Final

from schemas.dialects.context import metadata_of, of
from schemas.dialects.view import View

_PREFIXES: Final = (
    "",
    "langfuse.trace.metadata.",
    "langfuse.observation.metadata.",
    "traceloop.association.properties.",
    "ai.telemetry.metadata.",
    "langsmith.metadata.",
)
_TASK_WORDS: Final = ("stepwatch.task.id", "eval.task_id")
_EXPECTATION_WORDS: Final = ("stepwatch.expectation", "eval.expected_tool_calls")
TASK: Final = (*(p + word for word in _TASK_WORDS for p in _PREFIXES), "langfuse.experiment.item.id")
EXPECTATION: Final = (
    *(p + word for word in _EXPECTATION_WORDS for p in _PREFIXES),
    "langfuse.experiment.item.expected_output",
)
_TASK_SET, _EXPECTATION_SET = frozenset(TASK), frozenset(EXPECTATION)


def task_of(view: View) -> str:
    """The id that joins task truth; "" when this is no root or it has none."""
    if not view.is_root:
        return ""
    found = "" if view.keys.isdisjoint(_TASK_SET) else view.first(*TASK)
    return found or (of(metadata_of(view), *_TASK_WORDS) if "metadata" in view.keys else "")


def expectation_of(view: View) -> str | None:
    """Truth that the root itself carries, as JSON text."""
    if not view.is_root:
        return None
    found = None if view.keys.isdisjoint(_EXPECTATION_SET) else view.first(*EXPECTATION)
    return found or (of(metadata_of(view), *_EXPECTATION_WORDS) or None if "metadata" in view.keys else None)
