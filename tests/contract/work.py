"""How much work an evaluator does, counted and not timed: lines and calls of Python, and calls into C.

A loop inside C (a `sum`, a slice, an `in`) counts as one: what it hides must be seen in the bench.
"""

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from evaluators.folding.evaluation import Evaluation
from evaluators.protocols import Combining, Evaluator
from schemas.trajectory import Step, Trajectory
from tests.builders import llm_span, span, tool_span, trajectory
from tests.contract.generated import REGISTRY, TRUTHS

SHOP = REGISTRY.workflow("shop")
SCALES = ((50, 200), (1_000, 4_000))  # the second is tried where the first says too much: what is bounded levels off
RATIO_MAX = 5.0  # 4 is linear, 16 quadratic


def work_of(act: Callable[[], object]) -> int:
    """Events while this runs: the same number every time."""
    count = 0

    def line(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += 1
        return line

    def into_c(frame: FrameType, event: str, arg: Any) -> None:
        nonlocal count
        count += event == "c_call"

    before = sys.gettrace(), sys.getprofile()
    sys.settrace(line)
    sys.setprofile(into_c)
    try:
        act()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


def judging(of: Trajectory, evaluators: tuple[Evaluator, ...]) -> int:
    """The work of judging a trajectory, asked whenever it has grown by a tenth, as the engine asks."""
    steps = tuple(Step(s.index, s.span, s.label, s.agent, s.parent) for s in of.steps)
    folded = Evaluation(of.workflow, of.truth, evaluators)

    def act() -> None:
        asked = 0
        for count, step in enumerate(steps, 1):
            folded.extend((step,))
            if count >= 1.1 * asked:
                folded.results(of)
                asked = count

    warm = Evaluation(of.workflow, of.truth, evaluators)  # plans and expectations are derived once a process
    warm.extend(of.steps[:2])
    warm.results(of)
    return work_of(act)


def is_linear(evaluator: Evaluator, others: tuple[Evaluator, ...], shape: str) -> bool:
    """Whether four times the steps of this shape are about four times the work, at some scale."""
    return any(growth(evaluator, others, shape, scale) <= RATIO_MAX for scale in SCALES)


def growth(
    evaluator: Evaluator, others: tuple[Evaluator, ...], shape: str, scale: tuple[int, int] = SCALES[0]
) -> float:
    """By how much its work grows from few to many steps."""
    few, many = (run_of(shape, count) for count in scale)
    if not isinstance(evaluator, Combining):
        return judging(many, (evaluator,)) / judging(few, (evaluator,))
    without = tuple(other for other in others if other is not evaluator)
    own = [judging(of, (*without, evaluator)) - judging(of, without) for of in (few, many)]
    return own[1] / own[0] if own[0] > 0 else 0.0


def run_of(shape: str, count: int) -> Trajectory:
    """A long run of one shape, with truth."""
    spans = [span for _, span in zip(range(count), SHAPES[shape](), strict=False)]
    return trajectory(*spans, workflow=SHOP, truth=TRUTHS[3])


def _calls(name: Callable[[int], str], arguments: Callable[[int], Any], **fields: Any) -> Iterator[Any]:
    n = 0
    while True:
        n += 1
        yield tool_span(n, name(n), arguments(n), {"id": f"O-{n}"}, at_ms=n * 100, **fields)


def _mixed() -> Iterator[Any]:
    n = 0
    asked = '[{"role": "user", "content": "refund C-1 and O-7, 42.50"}]'
    while True:
        n += 8
        at = {"at_ms": n * 100.0}
        yield llm_span(n, f"I will call refund for C-{n % 7}", input_messages=asked, **at)
        yield span(n + 1, kind="planner", output_messages="1. look\n2. refund", **at)
        yield tool_span(n + 2, "look", {"id": f"C-{n % 7}"}, {"id": f"C-{n % 7}"}, **at)
        yield tool_span(n + 3, "refund", {"id": f"C-{n % 5}", "amount": n}, **at)
        yield tool_span(n + 4, "transfer_to_billing", {"to": "billing"}, kind="handoff", **at)
        yield span(n + 5, kind="agent", agent=("billing", "executor")[n % 2], **at)
        yield span(n + 6, kind="verifier", result='{"passed": true}', **at)
        yield tool_span(n + 7, "ask_human", {}, "yes", kind="human", **at)


SHAPES: dict[str, Callable[[], Iterator[Any]]] = {
    "mixed": _mixed,
    "other reads": lambda: _calls(lambda n: "look", lambda n: {"id": f"C-{n}"}),
    "one read again": lambda: _calls(lambda n: "look", lambda n: {"id": "C-1"}),
    "to and fro": lambda: _calls(lambda n: ("look", "verify_user")[n % 2], lambda n: {"id": "C-1"}),
    "writes to one": lambda: _calls(lambda n: "cancel", lambda n: {"id": "C-1", "n": n}),
    "writes to others": lambda: _calls(lambda n: "refund", lambda n: {"id": f"C-{n}", "amount": n}),
    "failures": lambda: _calls(lambda n: f"tool {n}", lambda n: {"id": f"C-{n}"}, status=2),
    "unknown tools": lambda: _calls(lambda n: f"tool {n}", lambda n: None),
    "talk": lambda: (llm_span(n, f"now C-{n} and {n}.50", at_ms=n * 100) for n in range(1, 100_000)),
}
