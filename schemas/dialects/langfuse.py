"""Langfuse (span-conventions 5): its SDK's spans, and spans of others that it re-exported with its own keys beside theirs.

Its observation type wins the kind unless it is `span` or `event`, which say nothing; then, and for every field it does not
have, the dialect that the span speaks beneath it reads.
"""

from collections.abc import Callable
from typing import Final

from schemas.dialects import unwrap
from schemas.dialects.kinds import FRAME, OPERATIONS, kind_of_tool, refine
from schemas.dialects.messages import loaded
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "langfuse"
MARKERS: Final = frozenset({"langfuse.observation.type", "langfuse.observation.input", "langfuse.observation.output"})

_INPUT, _OUTPUT = "langfuse.observation.input", "langfuse.observation.output"
_KINDS: Final[dict[str, StepKind]] = {
    "generation": "llm",
    "tool": "tool_call",
    "agent": "agent",
    "retriever": "retrieval",
    "guardrail": "verifier",
    "evaluator": "verifier",
    "embedding": "internal",
}
_FIELDS: Final = GENAI.before(model=("langfuse.observation.model.name",))


def read(view: View, beneath: Callable[[View], Reading | None]) -> Reading:
    """The span in canonical fields; `beneath` reads it as if Langfuse's keys were not there."""
    found = beneath(view)
    ruled = view.rule
    said = _kind(view, found)
    if found is not None and said in (None, found.operation, found.kind):
        view.rule = ruled
        return _filled(view, found)
    kind = said or ("workflow" if view.is_root and FRAME.search(view.name) else "internal")
    base = read_fields(view, _FIELDS, kind, agent=found.agent if found else "")
    if kind in CALLS:
        tool = (found.tool if found else "") or view.lowest("gen_ai.tool.name", "tool.name", "langsmith.trace.name")
        base = base._replace(tool=tool or view.name, arguments=None, result=None)
    return _filled(view, base)


def _kind(view: View, found: Reading | None) -> StepKind | None:
    """The kind that Langfuse's type and content say; None where they say nothing."""
    operation = view.low("gen_ai.operation.name")
    if OPERATIONS.get(operation) == "internal" and operation != "embeddings":
        return "internal"  # set-up is no step, whatever it was re-exported as
    if found is not None and found.operation in ("workflow", "handoff", "human"):
        return None
    kind = _KINDS.get(view.low("langfuse.observation.type").lower())
    if kind == "tool_call":
        view.rule = "3: langfuse.observation.type"
        return kind_of_tool(view.lowest("gen_ai.tool.name", "tool.name") or view.name)
    if kind is not None:
        view.rule = "3: langfuse.observation.type"
        return kind
    if found is None and unwrap.is_tool_message(view.text(_OUTPUT)):
        view.rule = "3: the output is a tool's message"
        return kind_of_tool(view.name)
    return None


def _filled(view: View, found: Reading) -> Reading:
    """What the dialect beneath did not find, by Langfuse's keys."""
    if found.kind in CALLS:
        answered = unwrap.result(view.text(_OUTPUT) if found.result is None else found.result)
        given = view.text(_INPUT) if found.arguments is None else found.arguments
        call_id = found.call_id or answered.call_id
        return found._replace(arguments=unwrap.arguments(given), result=answered.text, call_id=call_id)
    used = loaded(view.text("langfuse.observation.usage_details") or "")
    spent = loaded(view.text("langfuse.observation.cost_details") or "")
    return found._replace(
        kind=refine(found.operation or found.kind, found.agent),
        model=found.model or view.low("langfuse.observation.model.name"),
        input_tokens=found.input_tokens or _whole(used, "input"),
        output_tokens=found.output_tokens or _whole(used, "output"),
        cost_usd=found.cost_usd if found.cost_usd is not None else _amount(spent, "total"),
        input_messages=found.input_messages or view.text(_INPUT),
        output_messages=found.output_messages or view.text(_OUTPUT),
    )


def _whole(value: object, key: str) -> int:
    number = _amount(value, key)
    return int(number) if number is not None and 0 <= number < 1 << 62 else 0


def _amount(value: object, key: str) -> float | None:
    found = value.get(key) if isinstance(value, dict) else None
    return float(found) if isinstance(found, int | float) and abs(found) < 1e300 else None
