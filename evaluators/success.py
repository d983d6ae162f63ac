"""ToolCallSuccess: did the call work, whatever its status says?"""

from typing import ClassVar, Final

from evaluators.base import COMMON_CODES, MAYBE_CALLS, scored, unscored
from evaluators.views.comparison import is_call
from schemas.payload import is_placeholder
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import OK, StepKind
from schemas.toolcall import Failure
from schemas.trajectory import Step

_CODES: Final = {"E1": "error_status", "E2": "error_type", "E3": "error_type", "E4": "exception_event"}
_PASS: Final = Judgement("pass", 1.0, "trace")
_STATUS_ONLY: Final = Judgement(
    "pass", 1.0, "trace", "status_only", "no error status and no exception; the result was not captured to look into"
)
_NO_RESULT: Final = unscored("trace", "no_result", "the span never ended and holds no result")


class ToolCallSuccess:
    """Whether a call did its work: 1 or 0, from the span alone, by the rules E1-E10 of the span conventions.

    Counts: tool calls and retrievals; handoffs and questions to people whose tool is declared. A failure is an ERROR
    status, an error type, an exception event, or a *swallowed* error: the status is fine, but the result says error, by its
    keys or at the anchored start of its text. Swallowed errors are their own reason code: they are how an agent confirms
    what never happened.
    Does not count: the word "error" anywhere else; `{"error": null}`; errors in the results of tools whose business
    errors are; interruptions by control flow or cancellation (unscored, nothing failed and nothing was done).
    With UNSET or OK status and no captured result the call passes as `status_only`: instrumentation sets ERROR on every
    exception, and most producers capture no content, so abstaining would leave a fail rate of failures alone.

    Fails: error_status, error_type, exception_event, swallowed. Passes with a word: suspect, status_only.
    Unscored: interrupted, no_result (never ended, and nothing captured).
    """

    name: ClassVar[str] = "ToolCallSuccess"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = MAYBE_CALLS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "error_status",
        "error_type",
        "exception_event",
        "swallowed",
        "suspect",
        "status_only",
        "interrupted",
        "no_result",
    }

    def judge(self, step: Step, workflow: Workflow) -> Judgement | None:
        """The judgement of one call; None for a handoff, or a question to a person, that no registry declares as a tool."""
        if not is_call(step, workflow):
            return None
        call, span = step.call, step.span
        if call.failure is not None:
            return _failed(call.failure)
        if call.result is not None and not is_placeholder(call.result):
            return _PASS
        return _NO_RESULT if not span.end_ns and span.status != OK else _STATUS_ONLY


def _failed(failure: Failure) -> Judgement:
    evidence = {"rule": failure.rule}
    said = f"{failure.rule}: {failure.message}"
    if failure.severity == "handled":
        return unscored("trace", "interrupted", f"control flow or cancellation, not a failure ({said})", evidence)
    if failure.severity == "suspect":
        return scored(1.0, "trace", "suspect", f"may have failed ({said})", evidence)
    if failure.swallowed:
        return scored(0.0, "trace", "swallowed", f"the status hides an error that the result tells ({said})", evidence)
    return scored(0.0, "trace", _CODES.get(failure.rule, "error_status"), f"failed ({said})", evidence)
