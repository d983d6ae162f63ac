"""What a guardrail or an evaluator decided, where attributes of its own say so: one JSON object, the step's result.

Keys lose their prefix, so that `gen_ai.guardrail.result.value` is read as `result.value` and the rules that read verdicts in
JSON answers read these too. None when there are none: a verifier may also say its verdict in its output.
"""

from typing import Any, Final

from schemas.dialects.unwrap import dumped
from schemas.dialects.view import View

_PREFIXES: Final = ("gen_ai.guardrail.", "gen_ai.evaluation.", "guardrail.")
_BLOCKED: Final = frozenset({"block", "blocked", "deny", "denied", "reject", "rejected", "fail", "failed", "tripwire"})
_ALLOWED: Final = frozenset({"allow", "allowed", "pass", "passed", "accept", "accepted", "ok"})
_RESULT: Final = ("gen_ai.guardrail.result.value", "gen_ai.guardrail.result.type", "gen_ai.guardrail.result")
_KEYS_MAX: Final = 64


def of(view: View) -> str | None:
    """The verdict and what was said with it, as JSON text."""
    said: dict[str, Any] = {}
    for key in sorted(key for key in view.keys if isinstance(key, str) and key.startswith(_PREFIXES))[:_KEYS_MAX]:
        prefix = next(p for p in _PREFIXES if key.startswith(p))
        said[key[len(prefix) :]] = view.text(key)
    if not said:
        return None
    passed = _passed(view)
    if passed is not None:
        said["passed"] = passed
    return dumped(said)


def _passed(view: View) -> bool | None:
    if (triggered := view.low("gen_ai.guardrail.triggered").lower()) in ("true", "false"):
        return triggered == "false"
    words = [view.low(key).lower() for key in (*_RESULT, "gen_ai.evaluation.score.label", "guardrail.status")]
    if any(word in _BLOCKED for word in words) or view.low("guardrail.blocked").lower() == "true":
        return False
    if any(word in _ALLOWED for word in words) or view.low("guardrail.passed").lower() == "true":
        return True
    return False if view.low("guardrail.passed").lower() == "false" else None
