"""Outcomes: what rates count. One per (trace, step, evaluator), all of a trace in one record, published at its decision.

A Kafka record of `eval.outcomes` is either one `OutcomeRecord` (several traces of one tenant and workflow) or one `Tick`;
both are JSON with a `type`. The partition is a function of (tenant, workflow) alone, so that a series lives in one partition.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

import orjson

from schemas.result import Result

RECORD_OUTCOMES_MAX: Final = 1_000  # of one record, about 350 bytes each: far below what the topic takes


class Outcome(NamedTuple):
    """What one step of one trace did under one evaluator: `attempts` judged targets, in order of steps."""

    step: str
    step_kind: str  # "trajectory" for trajectory results
    evaluator: str
    evaluator_version: str
    agent: str
    tool: str
    attempts: int  # targets with verdict pass or fail
    failed: int  # of them, fail
    first: Literal["pass", "fail"]
    last: Literal["pass", "fail"]
    score: float  # mean of the scores of the attempts (0 or 1 where the evaluator has no score)
    event_ms: int  # client time of the last attempt: for display and onset only
    span_id: str  # hex; the last failed attempt, else the last; "" for the trajectory
    reason_code: str  # of that attempt


class TraceOutcomes(NamedTuple):
    """All outcomes of one decided trace. `weight` 0 is stored and never counted."""

    trace_id: str  # hex
    anchor_ms: int
    n_items: int
    close_reason: str
    config_seq: int
    weight: float
    release: str  # service.version or the like, for attribution; "" unknown
    outcomes: tuple[Outcome, ...]


class OutcomeRecord(NamedTuple):
    """One record of `eval.outcomes`: traces of one (tenant, workflow)."""

    tenant: str
    workflow: str
    traces: tuple[TraceOutcomes, ...]


class StepOutcome(NamedTuple):
    """What one attempt of a step did, published as soon as it was judged. `outcome.attempts` is 1."""

    trace_id: str  # hex
    weight: float
    outcome: Outcome


class StepRecord(NamedTuple):
    """One record of `eval.outcomes`: steps of runs that may not be decided, of one (tenant, workflow). Only where a rule with
    `when: step_scored` asks for it; the same steps come once more when their runs are decided, for all other rules."""

    tenant: str
    workflow: str
    steps: tuple[StepOutcome, ...]


class Tick(NamedTuple):
    """Time on the outcome log, produced by the partition's owner every `tick_interval_s`."""

    rules_seq: int  # config_seq of the newest config, 0: none; rules change only here
    scorer_lag_s: float  # how far the scorers lag; suppresses no_data


def steps_of(record: OutcomeRecord) -> StepRecord:
    """The steps of decided runs as they would have been told before, the first attempt of each; for rules tried out on runs
    that are over."""
    return StepRecord(
        record.tenant,
        record.workflow,
        tuple(StepOutcome(t.trace_id, t.weight, _first_attempt(o)) for t in record.traces for o in t.outcomes),
    )


def _first_attempt(outcome: Outcome) -> Outcome:
    return outcome._replace(attempts=1, failed=int(outcome.first == "fail"), last=outcome.first)


AnyRecord = OutcomeRecord | StepRecord | Tick


def summarise(results: Iterable[Result], kinds: dict[bytes, tuple[str, str]]) -> tuple[Outcome, ...]:
    """Fold results, in step order, to one outcome per (step, evaluator).

    `kinds` maps a span id to (step kind, tool). Unscored and error results are no attempts.
    """
    seen: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.verdict in ("pass", "fail"):
            seen.setdefault((result.step, result.evaluator), []).append(result)
    return tuple(_outcome(attempts, kinds) for attempts in seen.values())


def _outcome(attempts: list[Result], kinds: dict[bytes, tuple[str, str]]) -> Outcome:
    shown = last = attempts[-1]
    failed, scores = 0, 0.0
    for attempt in attempts:
        is_fail = attempt.verdict == "fail"
        if is_fail:
            shown = attempt
            failed += 1
        scores += float(not is_fail) if attempt.score is None else attempt.score
    kind, tool = kinds.get(shown.span_id, ("trajectory", ""))
    return Outcome(  # by place, for speed: one is made for most results
        shown.step,
        kind,
        shown.evaluator,
        shown.evaluator_version,
        shown.agent,
        tool,
        len(attempts),
        failed,
        "fail" if attempts[0].verdict == "fail" else "pass",
        "fail" if last.verdict == "fail" else "pass",
        scores / len(attempts),
        last.event_ns // 1_000_000,
        shown.span_id.hex(),
        shown.reason_code,
    )


def of_step(result: Result, kind: str, tool: str) -> Outcome:
    """The outcome of one judged attempt. Its verdict is pass or fail."""
    return _outcome([result], {result.span_id: (kind, tool)})


def encode(record: AnyRecord) -> bytes:
    """The record's bytes; equal records give equal bytes."""
    if isinstance(record, StepRecord):
        return orjson.dumps({"type": "steps", "v": 1, **record._asdict()}, default=tuple)
    if isinstance(record, Tick):
        return orjson.dumps({"type": "tick", **record._asdict()})
    return orjson.dumps({"type": "outcomes", "v": 1, **record._asdict()}, default=tuple)


def encode_trace(outcomes: TraceOutcomes) -> bytes:
    """One trace's outcomes as kept in its row until they are published."""
    return orjson.dumps(outcomes, default=tuple)


def decode_trace(data: bytes) -> TraceOutcomes:
    """The inverse of `encode_trace`."""
    return _trace(orjson.loads(data))


def decode(data: bytes) -> AnyRecord:
    """The inverse of `encode`. Raises ValueError on anything else; the caller dead-letters the record."""
    try:
        fields = orjson.loads(data)
        if fields["type"] == "tick":
            return Tick(int(fields["rules_seq"]), float(fields["scorer_lag_s"]))
        if fields["type"] == "outcomes":
            return OutcomeRecord(fields["tenant"], fields["workflow"], tuple(_trace(t) for t in fields["traces"]))
        if fields["type"] == "steps":
            steps = (StepOutcome(trace, weight, Outcome._make(said)) for trace, weight, said in fields["steps"])
            return StepRecord(fields["tenant"], fields["workflow"], tuple(steps))
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"not an outcome record: {error!r}") from error
    raise ValueError(f"not an outcome record: type {fields['type']!r}")


def _trace(fields: list[Any]) -> TraceOutcomes:
    *head, outcomes = fields
    return TraceOutcomes._make((*head, tuple(Outcome._make(outcome) for outcome in outcomes)))


def partition_of(tenant: str, workflow: str, partitions: int) -> int:
    """Which partition of `eval.outcomes` a (tenant, workflow) lives in: FNV-1a of both, fixed for life."""
    h = 0x811C9DC5
    for byte in f"{tenant}\x00{workflow}".encode():
        h = ((h ^ byte) * 0x01000193) & 0xFFFFFFFF
    return h % partitions
