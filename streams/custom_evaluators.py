"""Evaluators of others: installed packages name them in the entry-point group `stepwatch.evaluators`.

    [project.entry-points."stepwatch.evaluators"]
    PolitenessCheck = "our_package.politeness:PolitenessCheck"

The law: what is returned can run beside ours in any workflow; what cannot is told at the start, naming the distribution that
brought it, and never when a trace is judged. The order does not depend on how packages were installed.
"""

from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint, entry_points

from evaluators.catalogue import EVALUATORS
from evaluators.protocols import Combining, Contextual, Evaluator, SpanLocal
from schemas.span import STEP_KINDS
from streams.console.errors import UserError

GROUP = "stepwatch.evaluators"
SHAPES: tuple[type, ...] = (SpanLocal, Contextual, Combining)


def all_evaluators() -> tuple[Evaluator, ...]:
    """Ours, then those of others."""
    return (*EVALUATORS, *load_custom())


def load_custom(found: Iterable[EntryPoint] | None = None) -> tuple[Evaluator, ...]:
    """The evaluators of these entry points (of all that are installed), by name. Raises UserError with every problem."""
    points = entry_points(group=GROUP) if found is None else found
    ours = "Stepwatch itself"
    taken = {(evaluator.name, shape): ours for evaluator in EVALUATORS for shape in SHAPES}
    loaded: list[Evaluator] = []
    problems: list[str] = []
    for point in sorted(points, key=lambda point: (point.name, _origin(point), point.value)):
        origin = _origin(point)
        try:
            evaluator = _evaluator(point.load())
            shape = next(shape for shape in SHAPES if isinstance(evaluator, shape))
            others = {taken[evaluator.name, s] for s in SHAPES if (evaluator.name, s) in taken}
            # One package may give one name to a step's and to a trajectory's evaluator, as we do with LatencyBudget.
            if others - {origin} or (evaluator.name, shape) in taken:
                raise ValueError(
                    f"the name {evaluator.name!r} is taken by {', '.join(sorted(others))}; rename one of them"
                )
        except Exception as error:  # whatever a stranger's import does
            problems.append(f"{origin}: evaluator {point.name} = {point.value}: {_said(error)}")
            continue
        taken[evaluator.name, shape] = origin
        loaded.append(evaluator)
    if problems:
        raise UserError("\n".join(problems))
    return tuple(loaded)


def _origin(point: EntryPoint) -> str:
    """The distribution and its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown distribution"


def _evaluator(loaded: object) -> Evaluator:
    """The evaluator that an entry point names: an instance, or a class whose call takes nothing."""
    made = loaded() if isinstance(loaded, type) else loaded
    if not isinstance(made, SpanLocal | Contextual | Combining):
        raise TypeError(
            f"{type(made).__name__} has none of the three shapes of evaluators/base.py (docs/custom-evaluators.md)"
        )
    if faults := list(_faults(made)):
        raise TypeError("; ".join(faults))
    return made


def _faults(made: Evaluator) -> Iterator[str]:
    """What a type check of the shape does not show."""
    for attribute in ("name", "version"):
        if not isinstance(getattr(made, attribute), str) or not getattr(made, attribute):
            yield f"`{attribute}` must be a text, not {getattr(made, attribute)!r}"
    codes = made.reason_codes
    if not isinstance(codes, frozenset) or not all(isinstance(code, str) for code in codes):
        yield "`reason_codes` must be a frozenset of texts, the closed list of reasons"
    if not isinstance(made, Combining):  # the kinds of step that it is shown
        kinds = made.kinds
        if not isinstance(kinds, frozenset) or not kinds <= STEP_KINDS:
            yield f"`kinds` must be a frozenset of kinds of steps: {', '.join(sorted(STEP_KINDS))}"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
