"""Executed calls against expected ones: the best one-to-one assignment, and what is left over on either side.

The law: no call satisfies two expected ones; 1 equals 1.0 and never true; a list is a multiset unless the registry
marks the argument as ordered; nothing is normalised that nobody declared. Exact pairs are found by canonical keys, and
only the small remainder is assigned by augmenting paths.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple

import orjson

from schemas.expectation import ExpectedCall, ForbiddenCall, TaskTruth
from schemas.registry import Tool, Workflow
from schemas.toolcall import ToolCall
from schemas.trajectory import Step

REMAINDER_MAX: Final = 500  # calls beyond the exact pairs that are tried on expected ones; the rest counts as extra


@dataclass(slots=True)
class Matched:
    """An assignment of executed calls to expected ones."""

    right: list[tuple[int, Step]] = field(default_factory=list)  # (index of the expected call, the step that did it)
    out_of_order: list[tuple[int, Step]] = field(default_factory=list)  # right, but before what must precede it
    wrong: list[tuple[int, Step]] = field(default_factory=list)  # the right tool with other arguments
    unknown: list[tuple[int, Step]] = field(default_factory=list)  # perhaps right: arguments redacted or not captured
    differs: dict[int, list[str]] = field(default_factory=dict)  # of wrong ones, by step: the arguments that differ
    missing: list[int] = field(default_factory=list)
    extra: list[Step] = field(default_factory=list)
    capped: bool = False  # REMAINDER_MAX was hit

    @property
    def exact(self) -> bool:
        """Whether everything expected happened, and nothing else."""
        return not (self.out_of_order or self.wrong or self.unknown or self.missing or self.extra)

    @property
    def score(self) -> float:
        """right / (right + out of order + wrong + missing + extra); 1 where nothing was expected and nothing called."""
        total = len(self.right) + len(self.out_of_order) + len(self.wrong) + len(self.missing) + len(self.extra)
        return len(self.right) / total if total else 1.0


def canonical(value: Any, ordered: bool = False) -> Any:
    """A value such that equal means equal: whole floats as integers, and lists sorted unless they are ordered."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return int(value) if value.is_integer() and abs(value) < 1 << 53 else value
    if isinstance(value, dict):
        return {str(key): item if type(item) is str else canonical(item, ordered) for key, item in value.items()}
    if isinstance(value, list | tuple):
        items = [canonical(item, ordered) for item in value]
        return items if ordered or len(items) < 2 else sorted(items, key=_bytes)
    return value


def _bytes(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=str)


def call_key(arguments: Mapping[str, Any], ordered: frozenset[str]) -> bytes:
    """Equal for arguments that are equal by value."""
    same = {n: v if type(v) is str else canonical(v, n in ordered) for n, v in arguments.items()}
    return _bytes(same)


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected call, with what comparing needs computed once."""

    index: int
    call: ExpectedCall
    key: bytes
    ordered: frozenset[str]
    plain: bool  # nothing acceptable beside the arguments: equal keys decide


class Sought(NamedTuple):
    """Expected calls that are matched together, sorted once for all runs of the task."""

    calls: tuple[Expected, ...]
    required: tuple[Expected, ...]
    optional: tuple[Expected, ...]
    by_index: Mapping[int, Expected]
    exact: Mapping[tuple[str, bytes], tuple[int, ...]]  # by tool and key: the required ones without alternatives


class Expectations(NamedTuple):
    """The expected calls of one task under one workflow, apart: those that decide, and reads."""

    deciding: Sought
    reads: Sought


def decides(name: str, workflow: Workflow) -> bool:
    """Whether calls of this tool decide: writes do; where no write tool is declared, or the tool is unknown, all do."""
    tool = workflow.tools.get(name)
    return tool is None or tool.writes or not workflow.declares_writes


@lru_cache(maxsize=512)
def expectations(truth: TaskTruth, workflow: Workflow) -> Expectations:
    """What a task expects under a workflow, prepared for comparing."""
    prepared = [
        _prepared(index, call, workflow.tools.get(call.name)) for index, call in enumerate(truth.expected_calls)
    ]
    return Expectations(
        _sought(e for e in prepared if decides(e.call.name, workflow)),
        _sought(e for e in prepared if not decides(e.call.name, workflow)),
    )


def _sought(expected: Iterable[Expected]) -> Sought:
    calls = tuple(expected)
    required = tuple(e for e in calls if not e.call.optional)
    exact: dict[tuple[str, bytes], tuple[int, ...]] = {}
    for e in required:
        if e.plain:
            key = e.call.name, e.key
            exact[key] = (*exact.get(key, ()), e.index)
    optional = tuple(e for e in calls if e.call.optional)
    return Sought(calls, required, optional, {e.index: e for e in calls}, exact)


def _prepared(index: int, call: ExpectedCall, tool: Tool | None) -> Expected:
    ordered = tool.ordered if tool is not None else frozenset()
    return Expected(index, call, call_key(call.arguments, ordered), ordered, not call.acceptable)


def match(steps: Sequence[Step], sought: Sought, workflow: Workflow) -> Matched:
    """The best assignment of these executed calls to these expected ones."""
    out = Matched()
    pairs, left = _exact_pairs(steps, sought, workflow)
    open_ = [*(e for e in sought.required if e.index not in pairs), *sought.optional]
    if open_ and left:
        left = _augment(left, open_, pairs, out)
    for index in sorted(pairs):
        after = sought.by_index[index].call.after
        in_order = not after or _precede(after, pairs, pairs[index])
        (out.right if in_order else out.out_of_order).append((index, pairs[index]))
    if open_ or left:
        _explain([e for e in open_ if e.index not in pairs], left, out)
    return out


def _exact_pairs(steps: Sequence[Step], sought: Sought, workflow: Workflow) -> tuple[dict[int, Step], list[Step]]:
    """Pairs of equal key, for required calls without alternatives: some best assignment always holds them."""
    exact = sought.exact
    if not exact:
        return {}, list(steps)
    pairs: dict[int, Step] = {}
    used: dict[tuple[str, bytes], int] = {}
    left: list[Step] = []
    for step in steps:
        call = step.call
        if isinstance(call.arguments, dict) and not call.redacted:
            key = call.name, key_of(call, workflow)
            same, count = exact.get(key, ()), used.get(key, 0)
            if count < len(same):
                pairs[same[count]] = step
                used[key] = count + 1
                continue
        left.append(step)
    return pairs, left


def key_of(call: ToolCall, workflow: Workflow) -> bytes:
    """The key of a call whose arguments are an object, made once: several evaluators compare it."""
    tool = workflow.tools.get(call.name)
    ordered = _NO_NAMES if tool is None else tool.ordered
    kept = call.same
    if kept is None or kept[0] != ordered:
        kept = call.same = ordered, call_key(call.arguments, ordered)
    return kept[1]


_NO_NAMES: Final[frozenset[str]] = frozenset()
_PLAIN: Final = frozenset({str, int, bool})  # equal as they are


def _augment(left: list[Step], open_: list[Expected], pairs: dict[int, Step], out: Matched) -> list[Step]:
    """Assign what is left, required calls first: augmenting paths never take a call from one already served."""
    names = {e.call.name for e in open_ if e.call.acceptable or e.call.optional}
    tried = [step for step in left if step.call.name in names]
    if len(tried) > REMAINDER_MAX:
        out.capped, tried = True, tried[:REMAINDER_MAX]
    fits = {e.index: [i for i, step in enumerate(tried) if agrees(step, e)] for e in open_} if tried else {}
    owner: dict[int, int] = {}  # index in `tried` -> index of the expected call
    for e in open_:
        _serve(e.index, fits, owner, set())
    taken = {id(tried[i]) for i in owner}
    pairs.update({index: tried[i] for i, index in owner.items()})
    return [step for step in left if id(step) not in taken]


def _serve(index: int, fits: dict[int, list[int]], owner: dict[int, int], seen: set[int]) -> bool:
    for i in fits.get(index, ()):
        if i in seen:
            continue
        seen.add(i)
        if i not in owner or _serve(owner[i], fits, owner, seen):
            owner[i] = index
            return True
    return False


def agrees(step: Step, expected: Expected) -> bool:
    """Whether this call is one that the expected call stands for."""
    call = step.call
    if call.name != expected.call.name or not isinstance(call.arguments, dict) or call.redacted:
        return False
    return not disagreements(call.arguments, expected)


def disagreements(arguments: Mapping[str, Any], expected: Expected) -> list[str]:
    """The arguments in which a call differs from the expected one, by name."""
    given, call = arguments, expected.call
    names = {**call.arguments, **call.acceptable, **given}
    return [name for name in names if not _argument_agrees(name, given, expected)]


def _argument_agrees(name: str, given: Mapping[str, Any], expected: Expected) -> bool:
    call, acceptable = expected.call, expected.call.acceptable.get(name, ())
    if name not in given:
        return name not in call.arguments or "" in acceptable
    ordered = name in expected.ordered
    if name in call.arguments and same_value(given[name], call.arguments[name], ordered):
        return True
    return bool(acceptable) and any(same_value(given[name], value, ordered) for value in acceptable)


def same_value(left: Any, right: Any, ordered: bool = False) -> bool:
    """Equal by value: 1 == 1.0, true != 1, lists as multisets unless ordered."""
    if type(left) is type(right) and type(left) in _PLAIN:
        return bool(left == right)
    return _bytes(canonical(left, ordered)) == _bytes(canonical(right, ordered))


def _precede(after: Sequence[int], pairs: Mapping[int, Step], step: Step) -> bool:
    return all(index in pairs and pairs[index].index < step.index for index in after)


def _explain(open_: list[Expected], left: list[Step], out: Matched) -> None:
    """Pair leftovers of one tool, nearest first, so that a person sees which argument was wrong."""
    waiting: dict[str, list[Expected]] = defaultdict(list)
    for e in open_:
        waiting[e.call.name].append(e)
    for step in left:
        candidates = waiting.get(step.call.name)
        if not candidates:
            out.extra.append(step)
            continue
        nearest = min(candidates, key=lambda e: _distance(step, e)) if len(candidates) > 1 else candidates[0]
        candidates.remove(nearest)
        call = step.call
        known = not call.redacted and (call.arguments is not None or call.arguments_error is not None)
        (out.wrong if known else out.unknown).append((nearest.index, step))
        if known and isinstance(call.arguments, dict):
            out.differs[step.index] = disagreements(call.arguments, nearest)
    out.missing = [e.index for rest in waiting.values() for e in rest if not e.call.optional]


def _distance(step: Step, expected: Expected) -> tuple[bool, int, int]:
    arguments = step.call.arguments
    off = len(disagreements(arguments, expected)) if isinstance(arguments, dict) else 0
    return expected.call.optional, off, expected.index


def forbidden(step: Step, forbidden_calls: Sequence[ForbiddenCall]) -> bool:
    """Whether task truth forbids this call: by name, and by those arguments that it names."""
    call = step.call
    for rule in forbidden_calls:
        if rule.name != call.name:
            continue
        given = call.arguments if isinstance(call.arguments, dict) else {}
        named = rule.arguments or {}
        if all(name in given and same_value(given[name], value) for name, value in named.items()):
            return True
    return False
