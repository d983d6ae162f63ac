"""Generated runs: realistic ones, and what broken producers, redactors, clocks and networks make of them.

A run is built of acts (a call, a retry, calls in parallel, a talk, a plan, a check, a handoff, a nested agent). Every act is
drawn as its kind and one number, from which its choices follow: 0 is the plainest of its kind, so examples shrink well.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson
from hypothesis import strategies as st

from schemas.expectation import TaskTruth
from schemas.registry import Registry, parse_registry
from schemas.span import Span
from schemas.trajectory import CloseReason, TraceKey, Trajectory
from streams.core.assemble import assemble
from tests.builders import TENANT, root_span, span, tool, trace_id, truth
from tests.contract import content

T = TypeVar("T")
KEY = TraceKey(TENANT, trace_id())
SPANS_MAX = 24
DAY_MS = 86_400_000.0

_AMOUNT = {"type": "number", "minimum": 0}
_LINES = {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}, "required": ["sku"]}}
_WHY = {"type": "string", "enum": ["broken", "late"]}
_REFUND = {
    "id": {"type": "string"},
    "amount": _AMOUNT,
    "lines": _LINES,
    "why": _WHY,
    "on": {"type": "string", "format": "date"},
}
_BY_ID = {"entity": {"customer": "$.id"}}
_BY_ORDER = {"entity": {"order": "$.id"}}
_SHOP = {
    "name": "shop",
    "tools": [
        tool("refund", _REFUND, ["id"], writes=True, latency_budget_ms=60, **_BY_ID),
        tool("look", {"id": {}}, **_BY_ID),
        tool("verify_user", {"id": {"type": "string"}}),
        tool("cancel", {"id": {}}, writes=True, inverse="undo_cancel", **_BY_ORDER),
        tool("undo_cancel", {"id": {}}, writes=True, inverse="cancel", **_BY_ORDER),
        tool("ask_human"),
    ],
    "policy": {
        "max_steps": 12,
        "max_repeats": 2,
        "latency_budget_ms": 500,
        "cost_budget_usd": 0.05,
        "order": [{"before": "verify_user", "tool": "refund"}],
        "forbidden": [{"after": "cancel", "tool": "refund"}, {"tool": "undo_cancel"}],
        "confirm_before_write": True,
    },
    "agents": ["executor", "researcher", "billing"],
}
_READS = {"name": "reads", "tools": [tool("look", {"id": {}})], "policy": {"max_steps": None, "max_repeats": None}}
_LAX = {"name": "lax", "tools": [tool("refund", writes=True)], "evaluators": {"StepEfficiency": {"pass_at": 0.5}}}
REGISTRY: Registry = parse_registry(
    orjson.dumps({"workflows": [_SHOP, _READS, _LAX, {"name": "silent"}]}).decode(), "workflows.yaml"
)
WORKFLOWS = ("shop", "shop", "reads", "lax", "silent", "nobody declared it")
TRUTHS: tuple[TaskTruth | None, ...] = (
    None,
    truth(),
    truth(("refund", {"id": "C-1001"}), ("refund", {"id": "C-1001"}), outputs=["42"]),
    truth(
        ("look", {"id": "C-1001"}),
        {"name": "refund", "arguments": {"id": "C-1001"}, "acceptable": {"amount": [42, ""]}, "after": [0]},
        {"name": "cancel", "arguments": {}, "optional": True},
        forbidden_calls=["undo_cancel"],
    ),
)


class Dice:
    """One drawn number, used up choice by choice."""

    def __init__(self, number: int) -> None:
        self._left = number

    def of(self, pool: Sequence[T]) -> T:
        """A choice; the first of the pool once the number is used up."""
        self._left, at = divmod(self._left, len(pool))
        return pool[at]


Fields = dict[str, Any]


def _call(dice: Dice, **fixed: Any) -> Fields:
    fields = {
        "kind": dice.of(("tool_call", "tool_call", "tool_call", "retrieval")),
        "tool": dice.of(content.TOOLS),
        "arguments": dice.of(dice.of((content.USUAL_ARGUMENTS, content.ARGUMENTS))),
        "result": dice.of(content.RESULTS),
        "status": dice.of(content.STATUSES),
        "error_type": dice.of(content.ERROR_TYPES),
        "exception": dice.of(content.EXCEPTIONS),
        "escaped": dice.of((False, True)),
        "call_id": dice.of(("call_1", "", "unknown")),
    }
    return {**fields, "name": f"execute_tool {fields['tool']}", **fixed}


def one_call(dice: Dice) -> list[Fields]:
    """A call."""
    return [_call(dice)]


def retry(dice: Dice) -> list[Fields]:
    """A call that fails and is made again, with success or not."""
    first = _call(dice, status=2, result=dice.of((None, "Error: busy")))
    return [first, {**first, "status": dice.of((0, 0, 2)), "result": "done"}]


def parallel(dice: Dice) -> list[Fields]:
    """Calls that start at one instant."""
    one = _call(dice)
    return [one, {**_call(dice), "together": True}, {**one, "together": True}]


def round_trip(dice: Dice) -> list[Fields]:
    """A, B, A, B with the same answers."""
    a, b = _call(dice, tool="look"), _call(dice, tool="verify_user")
    return [a, b, a, b]


def talk(dice: Dice, kind: str = "llm") -> list[Fields]:
    """A model call."""
    said, asked = dice.of(content.SAID), dice.of(content.ASKED)
    tool_named, arguments, result = dice.of(content.TOOLS), dice.of(content.ARGUMENTS), dice.of(content.RESULTS)
    return [
        {
            "kind": kind,
            "name": "chat",
            "output_messages": dice.of(content.outputs(said, tool_named, arguments)),
            "input_messages": dice.of(content.inputs(asked, said, result)),
            "tool_definitions": dice.of(content.DEFINITIONS),
            "cost_usd": dice.of((None, 0.01, 0.0, 1.0)),
            "input_tokens": dice.of((0, 100)),
            "status": dice.of(content.STATUSES),
        }
    ]


def errand(dice: Dice) -> Sequence[Fields]:
    """What a good run looks like: asked, looked up, verified, proposed, agreed to, written; on somebody else, at times."""
    said = '[{"role": "user", "parts": [{"type": "text", "content": "%s"}]}]'
    asked = {"kind": "llm", "name": "chat", "input_messages": said % "I am C-1001, refund 42 please"}
    proposed = {**asked, "output_messages": "I will refund 42 to C-1001. Do you agree?"}
    agreed = {**asked, "input_messages": said % dice.of(("Yes, please do", "No", "What?"))}
    mine, other = '{"id": "C-1001", "amount": 42}', '{"id": "C-2002", "amount": 42}'
    plain = {"kind": "tool_call", "status": 0, "error_type": "", "exception": "", "result": "done"}
    looked = _call(Dice(0), tool="look", arguments='{"id": "C-1001"}', result=dice.of((mine, other, None)))
    written = {**_call(dice, tool=dice.of(("refund", "cancel"))), **plain, "arguments": dice.of((mine, other))}
    verified = _call(Dice(0), tool="verify_user", arguments='{"id": "C-1001"}')
    return dice.of(((asked, looked, verified, proposed, agreed, written), (asked, looked, written), (written, asked)))


def plan(dice: Dice) -> list[Fields]:
    """A planner's call."""
    return talk(dice, "planner")


def check(dice: Dice) -> list[Fields]:
    """A verifier, its verdict as result or as output message."""
    verdict = dice.of(content.VERDICTS)
    fields = {"kind": "verifier", "name": "review", "agent": dice.of(("reviewer", "executor")), "result": verdict}
    if dice.of((False, True)):
        fields |= {"result": None, "output_messages": dice.of(content.outputs(verdict, "", None))}
    return [{**fields, "status": dice.of(content.STATUSES)}]


def handoff(dice: Dice) -> list[Fields]:
    """Control passed to an agent that then works, or does not."""
    to = dice.of(content.AGENTS)
    name = dice.of((f"transfer_to_{to}", "handoff_to_agent", "transfer_back_to_executor", ""))
    arguments = dice.of((f'{{"agent_name": "{to}"}}', *content.ARGUMENTS))
    passed = _call(dice, kind="handoff", tool=name, arguments=arguments, result=dice.of((to, "done", None)))
    return [passed, {"kind": "agent", "name": "invoke_agent", "agent": to}] if dice.of((True, False)) else [passed]


def nested_agent(dice: Dice) -> list[Fields]:
    """An agent's run with a call below it."""
    who = dice.of(content.AGENTS)
    return [
        {"kind": "agent", "name": "invoke_agent", "agent": who, "status": dice.of(content.STATUSES)},
        {**_call(dice), "agent": dice.of((who, "")), "below": True},
    ]


def human(dice: Dice) -> list[Fields]:
    """A person is asked."""
    return [{**_call(dice), "kind": "human", "name": "ask", "result": dice.of((*content.ASKED, None))}]


def structure(dice: Dice) -> list[Fields]:
    """A span that is no step."""
    return [{"kind": dice.of(("internal", "workflow", "memory")), "name": dice.of(("node", "chain", "POST /"))}]


ACTS: tuple[Callable[[Dice], Sequence[Fields]], ...] = (
    one_call, one_call, errand, talk, retry, parallel, round_trip, plan, check, handoff, nested_agent, human, structure,
)  # fmt: skip
PARENTS = ("root", "root", "before", "missing", "none", "itself", "next")  # the last two: cycles
SKEWS_MS = (0.0, 0.0, 0.0, -5_000.0, 5_000.0, -400 * DAY_MS)
TOOK_MS = (50.0, 10.0, 0.0, 100.0, -5.0, 70_000.0)


class Run(NamedTuple):
    """The spans of one trace, in no order that means anything, and what is known of it otherwise."""

    spans: tuple[Span, ...]
    truths: dict[tuple[str, str], TaskTruth]
    closed: CloseReason

    def trajectory(self, items: Iterable[Span] | None = None, closed: CloseReason | None = None) -> Trajectory:
        """These items (else all), put together."""
        chosen = list(self.spans if items is None else items)
        return assemble(KEY, chosen, REGISTRY, self.truths, self.closed if closed is None else closed)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """A run of at least one span."""
    number = st.integers(0, 1 << 60)
    acts = draw(st.lists(st.tuples(st.sampled_from(ACTS), number, number), max_size=8))
    dice = Dice(draw(number))
    service = dice.of(WORKFLOWS)
    spans = []
    for act, choices, place in acts:
        where = Dice(place)
        for fields in act(Dice(choices)):
            spans.append(_placed(dict(fields), len(spans) + 1, where, service))
    if dice.of((True, True, False)) or not spans:
        name, kind = dice.of((("invoke_agent", "agent"), ("run", "workflow"), ("chat", "llm")))
        task, carried = dice.of(("t1", "")), dice.of(content.EXPECTATIONS)
        took = dice.of((10_000.0, 100.0, -5.0))
        spans.append(
            root_span(0, took_ms=took, name=name, kind=kind, workflow=service, task_id=task, expectation=carried)
        )
    spans = spans[-SPANS_MAX:]
    twin = dice.of((None, None, 0, -1))
    if twin is not None:  # the same id with other content
        of = spans[twin]
        spans.append(of._replace(status=2 - of.status, result="other", content_hash=of.content_hash ^ 1))
    known = dice.of(TRUTHS)
    return Run(
        tuple(spans),
        {(service, "t1"): known} if known is not None else {},
        dice.of(("root_ended", "marker", "abandoned")),
    )


def _placed(fields: Fields, n: int, where: Dice, service: str) -> Span:
    together, below = fields.pop("together", False), fields.pop("below", False)
    parent = "before" if below else where.of(PARENTS)
    ids = {"before": n - 1, "missing": 999, "itself": n, "next": n + 1}
    of = span(
        n,
        at_ms=(n - together) * 100.0 + where.of(SKEWS_MS),
        took_ms=where.of(TOOK_MS),
        parent=ids.get(parent, 0),
        service=service,
        workflow=service,
        resource_id=where.of((1, 1, 2)),
        **{"agent": where.of(content.AGENTS), **fields},
    )
    if where.of((False,) * 9 + (True,)):
        of = of._replace(end_ns=0)  # it never ended
    return of._replace(parent_id=b"", is_end=True) if parent == "none" else of


class Case(NamedTuple):
    """A run, and how it comes in."""

    run: Run
    arrival: tuple[Span, ...]  # every span at least once, in any order, some twice
    cuts: tuple[bool, ...]  # after which of them (or of the steps) somebody asks; those beyond are not asked
    root_at: int  # the root is known only from this ask on

    def chunks(self, items: Sequence[T]) -> list[list[T]]:
        """These items cut in chunks, none empty."""
        out: list[list[T]] = [[]]
        for index, item in enumerate(items):
            out[-1].append(item)
            if self.cuts[index % len(self.cuts)]:
                out.append([])
        return [chunk for chunk in out if chunk]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A run and a schedule."""
    run = draw(runs())
    again = draw(st.lists(st.sampled_from(run.spans), max_size=3))
    arrival = draw(st.permutations([*run.spans, *again]))
    cuts = draw(st.lists(st.booleans(), min_size=1, max_size=8))
    return Case(run, tuple(arrival), tuple(cuts), draw(st.integers(0, 4)))
