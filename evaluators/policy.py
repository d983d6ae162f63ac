"""PolicyCompliance: does a call keep to what the workflow's policy says?"""

from collections.abc import Iterable
from typing import ClassVar, Final

from evaluators.base import ALL_KINDS, COMMON_CODES, MAYBE_CALLS, Context, scored, unscored
from evaluators.views.consent import Consent
from evaluators.views.precedence import Precedence, has_rules
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import StepKind
from schemas.trajectory import Step, Trajectory

_PASS: Final = Judgement("pass", 1.0, "registry")
_UNCONFIRMED: Final = scored(
    0.0, "registry", "unconfirmed_write", "nobody had been asked, and had answered, before this write was called"
)
_REFUSED: Final = scored(0.0, "registry", "refused_write", "the last answer before this write was a refusal")
_NOT_CAPTURED: Final = unscored(
    "registry", "not_captured", "whether somebody agreed to this write stands in messages that were not captured"
)
_BY_WORD: Final = {"agreed": _PASS, "refused": _REFUSED, "nothing": _UNCONFIRMED, "unknown": _NOT_CAPTURED}


class Conduct:
    """What the policy asks about: the calls that succeeded, and what was agreed."""

    def __init__(self, context: Context) -> None:
        workflow = context.workflow
        self.workflow = workflow
        self.precedence = context.shared(Precedence) if has_rules(workflow) else None
        self.consent = context.shared(Consent) if workflow.policy.confirm_before_write else None


class PolicyCompliance:
    """Whether a call keeps to the workflow's `policy`: its order, what it forbids, and confirmation before a write.

    Counts: every call that a rule speaks of, failed attempts too, for the attempt is the breach.
    - missing_predecessor (`order`): the tool that must come before had not succeeded;
    - forbidden_transition (`forbidden` with `after`): that tool had succeeded; forbidden_call: it is never allowed;
    - unconfirmed_write (`confirm_before_write`): a declared write, and no answer stands before it. An answer is a
      user's message after one of the agent's, a person's reply to a question (a `human` step), or a verifier that
      passed. The request that opens a run is none. An answer holds until the next one: several writes that were
      proposed together need one "yes".
    - refused_write: the last answer is plainly a refusal ("no, thanks"), or a verifier that did not pass.
    What the user agreed to is not interpreted: that somebody stood between proposal and write is what can be proven.
    Does not count: calls that no rule speaks of; calls interrupted by control flow (to ask for approval, say); the
    order of calls made in parallel beyond the order of their steps.

    Fails: the codes above, the gravest of several. Unscored: not_captured (an answer may stand in messages, or in a
    verifier's words, that were not captured or cannot be read).
    """

    name: ClassVar[str] = "PolicyCompliance"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "missing_predecessor",
        "forbidden_transition",
        "forbidden_call",
        "unconfirmed_write",
        "refused_write",
        "not_captured",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Only where the policy says something about calls."""
        return has_rules(workflow) or workflow.policy.confirm_before_write

    def initial(self, context: Context) -> Conduct:
        """Nothing called, nothing agreed."""
        return Conduct(context)

    def update(self, state: Conduct, step: Step) -> Judgement | None:
        """Judge a call that a rule speaks of; keep what the rules ask about."""
        if state.consent is not None:
            state.consent.add(step)
        if step.span.kind not in MAYBE_CALLS:
            return None
        breach = state.precedence.breach(step) if state.precedence is not None else None
        failure = step.call.failure
        if failure is not None and failure.severity == "handled":
            return None
        if breach is not None:
            return scored(0.0, "registry", breach.code, breach.reason, breach.evidence)
        name = step.call.name
        if state.consent is not None and (tool := state.workflow.tools.get(name)) is not None and tool.writes:
            return _BY_WORD[state.consent.word()]
        return _PASS if state.precedence is not None and state.precedence.rules(name) else None

    def finish(self, state: Conduct, trajectory: Trajectory) -> Iterable[tuple[None, Judgement]]:
        """Nothing: a call is judged by what came before it."""
        return ()
