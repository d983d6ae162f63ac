"""Deliberately wrong evaluators, one sin each, and an honest one. They show that the laws are able to fail."""

from collections.abc import Iterable, Iterator
from typing import Any

from evaluators.base import ALL_KINDS, CALL_KINDS, COMMON_CODES, Context
from schemas.result import Judgement
from schemas.trajectory import Step, Trajectory

PASS = Judgement("pass", 1.0, "trace")
Said = tuple[Step | None, Judgement]


def fail(reason: object) -> Judgement:
    return Judgement("fail", 0.0, "trace", "toy", str(reason))


def said(count: int) -> Judgement:
    """A judgement that tells this count."""
    return Judgement("pass", 1.0, "trace", "toy", f"{count}")


class Toy:
    name, version, reason_codes, kinds = "Toy", "1", COMMON_CODES | {"toy"}, ALL_KINDS

    def applies(self, workflow: object) -> bool:
        return True


class Counting(Toy):
    """Honest: counts steps, says it of each and of the whole."""

    def initial(self, context: Context) -> list[Step]:
        return []

    def update(self, state: list[Step], step: Step) -> Judgement | None:
        state.append(step)
        return said(len(state))

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[Said]:
        yield None, said(len(state))


class ByReceivedTime(Toy):
    """Depends on when the span came."""

    def judge(self, step: Step, workflow: object) -> Judgement:
        return said(step.span.received_ms % 7)


class FirstWins(Counting):
    """Depends on what it saw in an earlier fold."""

    def __init__(self) -> None:
        self._seen = 0

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[Said]:
        self._seen += 1
        yield None, said(self._seen)


class ByPlace(Toy):
    """Says that it is span-local, and reads where in the trace the step stands."""

    def judge(self, step: Step, workflow: object) -> Judgement:
        return said(step.index)


class FinishCounts(Counting):
    """`finish` changes what is said next."""

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[Said]:
        yield None, said(len(state))
        state += state[:1]


class ReadsSteps(Counting):
    """`finish` reads the steps of the trajectory instead of its state."""

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[Said]:
        yield None, said(len(trajectory.steps))


class ReadsFlags(Counting):
    """`finish` reads what it may not: where that alone changes nobody asks it again."""

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[Said]:
        yield None, said(trajectory.flags)


class Revises(Counting):
    """Says of a step that it passed, and later that it did not."""

    def finish(self, state: list[Step], trajectory: Trajectory) -> Iterable[Said]:
        yield from ((step, fail("after all not")) for step in state[:1])
        yield None, said(len(state))


class Backwards(Counting):
    """Hides that it failed: no reason, and a code that is not on its list."""

    def update(self, state: list[Step], step: Step) -> Judgement | None:
        return Judgement("fail", 0.0, "trace", "of nobody's list", "no")


class Throws(Toy):
    """Takes it for granted that arguments are an object."""

    kinds = CALL_KINDS

    def judge(self, step: Step, workflow: object) -> Judgement:
        return said(len(step.call.arguments.keys()))


class Pile:
    """Shared: every step that anybody showed it."""

    def __init__(self, context: Context) -> None:
        self.steps = 0


class Feeds(Toy):
    """Shows the pile every step."""

    name = "Feeds"

    def initial(self, context: Context) -> Pile:
        return context.shared(Pile)

    def update(self, state: Pile, step: Step) -> None:
        state.steps += 1

    def finish(self, state: Pile, trajectory: Trajectory) -> Iterator[Said]:
        yield None, PASS


class KindsLie(Feeds):
    """Says that it needs calls alone, and counts what another showed their common pile."""

    name, kinds = "Toy", CALL_KINDS

    def finish(self, state: Pile, trajectory: Trajectory) -> Iterator[Said]:
        yield None, said(state.steps)


class Quadratic(Counting):
    """Looks at all earlier steps at every step."""

    def update(self, state: list[Step], step: Step) -> Judgement | None:
        state.append(step)
        return said(sum(other.label == step.label for other in state))


class QuadraticTogether(Toy):
    """Combining, and looks at all it was ever told at every step."""

    def initial(self, context: Context) -> list[Any]:
        return []

    def update(self, state: list[Any], step: Step, about: Any) -> None:
        state.append(sum(1 for _ in state))

    def combine(self, state: list[Any], trajectory: Trajectory, late: object, whole: object) -> Judgement:
        return said(len(state))
