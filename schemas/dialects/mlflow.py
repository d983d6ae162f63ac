"""MLflow tracing (span-conventions 5): every value is JSON, the kind too (`"\\"TOOL\\""`)."""

from typing import Any, Final

import orjson

from schemas.dialects import unwrap
from schemas.dialects.kinds import FRAME, SPAN_KINDS, kind_of_tool
from schemas.dialects.reading import CALLS, GENAI, read_fields
from schemas.dialects.view import Reading, View
from schemas.span import StepKind

NAME: Final = "mlflow"
MARKERS: Final = frozenset({"mlflow.spanType"})

_FIELDS: Final = GENAI.before(
    arguments=("mlflow.spanInputs",),
    result=("mlflow.spanOutputs",),
    input=("mlflow.spanInputs",),
    output=("mlflow.spanOutputs",),
    definitions=("mlflow.chat.tools",),
)


def read(view: View) -> Reading:
    """The span in canonical fields."""
    tool = _word(view, "mlflow.spanFunctionName") or view.name
    kind = _kind(view, tool)
    if kind in CALLS:
        answered = unwrap.result(view.captured(*_FIELDS.result))
        given = unwrap.arguments(view.captured(*_FIELDS.arguments))
        return read_fields(
            view, _FIELDS, kind, tool=tool, arguments=given, result=answered.text, call_id=answered.call_id
        )
    used, cost = _object(view, "mlflow.chat.tokenUsage"), _object(view, "mlflow.llm.cost").get("total_cost")
    return read_fields(
        view,
        _FIELDS,
        kind,
        agent=view.name if kind == "agent" else "",
        model=_word(view, "mlflow.llm.model"),
        input_tokens=_whole(used.get("input_tokens")) or view.number(*_FIELDS.input_tokens),
        output_tokens=_whole(used.get("output_tokens")) or view.number(*_FIELDS.output_tokens),
        cost_usd=float(cost) if isinstance(cost, int | float) else None,
        session_id=_word(view, "mlflow.trace.session"),
    )


def _kind(view: View, tool: str) -> StepKind:
    view.rule = "9: mlflow.spanType"
    said = _word(view, "mlflow.spanType").upper()
    if said == "TOOL":
        return kind_of_tool(tool)
    if said == "CHAIN":
        return "workflow" if view.is_root or FRAME.search(view.name) else "internal"
    return SPAN_KINDS.get(said, "internal")


def _word(view: View, key: str) -> str:
    """A text that is JSON, or stands as it is."""
    text = view.low(key)
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _object(view: View, key: str) -> dict[str, Any]:
    try:
        value = orjson.loads(view.text(key) or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _whole(value: Any) -> int:
    return max(0, int(value)) if isinstance(value, int | float) and abs(value) < 1 << 62 else 0
