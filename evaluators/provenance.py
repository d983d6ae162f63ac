"""ArgumentProvenance: whether the ids and amounts that a write is called with came from somewhere."""

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from evaluators.base import COMMON_CODES, MAYBE_CALLS, Context, scored, unscored
from evaluators.views.comparison import is_call
from evaluators.views.derived import NUMBERS_MAX, is_derived
from evaluators.views.literals import amount_of, amounts_in, forms_of, ids_in, leaves
from evaluators.views.seen import Seen
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import TRUNCATED, StepKind
from schemas.tools import Tool
from schemas.trajectory import Step, Trajectory

PATHS_MAX: Final = 20
_PASS: Final = Judgement("pass", 1.0, "trace")
_NOT_CAPTURED: Final = unscored("trace", "not_captured", "the arguments were not captured, or cannot be read")
_REDACTED: Final = unscored("trace", "redacted", "values that would have to be seen are replaced by placeholders")
_TRUNCATED: Final = unscored("trace", "truncated", "the arguments were cut in decode")
_DOUBTS: Final = {
    "not_captured": "not seen before, but not everything that was said and brought was captured",
    "redacted": "not seen before, but what was seen has placeholders in it",
    "truncated": "not seen before, but what was seen was cut in decode",
}


class Miss(NamedTuple):
    """A write with values that no step before it had shown; what is said unless the frame around the run shows them."""

    step: Step
    ids: tuple[str, ...]
    amounts: tuple[int, ...]
    judgement: Judgement


class Origins:
    """What was seen so far, and the writes that wait for the frame of the run."""

    __slots__ = ("misses", "seen", "workflow")

    def __init__(self, context: Context) -> None:
        self.seen = context.shared(Seen)
        self.workflow = context.workflow
        self.misses: list[Miss] = []


class ArgumentProvenance:
    """Whether the id-like and amount-like arguments of a write were seen before: 1 or 0.

    Counts: calls of tools that the registry declares as writes, attempts included; every value of their arguments,
    nested ones too, that has the shape of an id (e-mail, phone, five digits or more, letters with four digits or in
    turns, UUID) or of an amount (a number of three significant digits or more). Seen is what stands, as a whole word and
    whatever its case, grouping or prefix, in the words of people or the system, in a result, or in the input of the run;
    numbers compare by value. The model's own words, the arguments of its calls, and the echo of them in an error are not
    seen. An amount that is a simple sum, share or product of seen numbers is `derived` and passes.
    Does not count: dates, years, counts, round sums, short codes, constants of the tool's schema, idempotency keys,
    request ids, passwords, ids inside sentences. Amounts, where an id is made up already, and where more than 96
    different numbers were seen.

    Fails: invented. Passes with a word: derived.
    Unscored: not_captured (arguments, or words or results among which the value may have been), redacted.
    """

    name: ClassVar[str] = "ArgumentProvenance"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = MAYBE_CALLS
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {"invented", "derived", "not_captured", "redacted"}

    def applies(self, workflow: Workflow) -> bool:
        """Where some tool is declared to write."""
        return workflow.declares_writes

    def initial(self, context: Context) -> Origins:
        """Nothing seen."""
        return Origins(context)

    def update(self, state: Origins, step: Step) -> Judgement | None:
        """Judge a write by what came before it."""
        span = step.span
        if span.tool:
            tool = state.workflow.tools.get(span.tool)
            if tool is not None and tool.writes and is_call(step, state.workflow):
                return _judged(state, step, tool)
        return None

    def finish(self, state: Origins, trajectory: Trajectory) -> Iterator[tuple[Step, Judgement]]:
        """The writes that the frame of the run can still explain."""
        if state.misses:
            frame = state.seen.frame(trajectory.roots)
            for miss in state.misses:
                explained = all(frame.holds(forms_of(x)) for x in miss.ids) and all(map(frame.has_number, miss.amounts))
                yield miss.step, _PASS if explained else miss.judgement


def _judged(state: Origins, step: Step, tool: Tool) -> Judgement | None:
    """What is said of a write now; None where there is nothing to say, or the frame of the run has to be heard first."""
    call, seen = step.call, state.seen
    if call.arguments is None:
        return _TRUNCATED if step.span.flags & TRUNCATED else _NOT_CAPTURED
    constants = _constants(tool)
    ids, others = ids_in(leaves(call.arguments))
    unseen = [(path, value) for path, value in ids if value not in constants and not seen.holds(value)]
    if unseen:
        return _missed(state, step, [path for path, _ in unseen], tuple(value for _, value in unseen), ())
    amounts = amounts_in(others)
    unread = [(path, x) for path, x in amounts if x not in constants and not seen.holds_number(x)]
    if unread:
        numbers = seen.numbers(NUMBERS_MAX)
        underived = [(path, x) for path, x in unread if not is_derived(x, numbers)]
        if underived:
            return _missed(state, step, [path for path, _ in underived], (), tuple(x for _, x in underived))
    if call.redacted:
        return _REDACTED
    if unread:
        return _derived([path for path, _ in unread], len(numbers))
    return _PASS if ids or amounts else None


def _missed(
    state: Origins, step: Step, paths: list[str], ids: tuple[str, ...], amounts: tuple[int, ...]
) -> Judgement | None:
    judgement = _invented(state, paths[:PATHS_MAX])
    if state.seen.framed:
        return judgement
    state.misses.append(Miss(step, ids, amounts, judgement))
    return None


def _invented(state: Origins, paths: list[str]) -> Judgement:
    doubt = state.seen.doubt()
    if doubt:
        return unscored("trace", doubt, f"{', '.join(paths)}: {_DOUBTS[doubt]}", {"arguments": paths})
    reason = f"no words and no result before this write hold the value of: {', '.join(paths)}"
    return scored(0.0, "trace", "invented", reason, {"arguments": paths})


def _derived(paths: list[str], numbers: int) -> Judgement:
    how = (
        "follows from seen numbers"
        if numbers <= NUMBERS_MAX
        else f"may follow from more than {NUMBERS_MAX} seen numbers"
    )
    return scored(1.0, "trace", "derived", f"{how}: {', '.join(paths)}", {"arguments": paths[:PATHS_MAX]})


@lru_cache(maxsize=1024)
def _constants(tool: Tool) -> set[str | int]:
    """Values that the tool's schema itself names: an enum, a constant, a default."""
    found: set[str | int] = set()
    if tool.parameters is None:
        return found
    for path, value in leaves(dict(tool.parameters)):
        keys = path.replace("[", ".").split(".")
        if "enum" in keys or keys[-1] in ("const", "default"):
            amount = amount_of(value)
            found.add(str(value))
            if amount is not None:
                found.add(amount)
    return found
