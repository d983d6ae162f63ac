"""What a trace amounts to now: its row, the outcomes of its decision, and the verdicts that a late span changed.

The law: under one config everything here follows from the trace's items, its state and the task truth. A final row is
that of all items; outcomes are those of the items received before the deadline, made once and kept. Of an open trace
span-local results are always there, contextual ones at most every `provisional_every_ms` of the log clock.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from xxhash import xxh3_64_intdigest

from evaluators.folding.evaluation import Evaluation
from evaluators.folding.local import Known
from evaluators.judge import judge, judge_span
from evaluators.protocols import Evaluator, SpanLocal
from schemas.expectation import TaskTruth
from schemas.item import Item
from schemas.outcome import StepOutcome, TraceOutcomes, of_step, summarise
from schemas.registry import Registry
from schemas.result import Result
from schemas.rows import TrajectoryRow, VerdictChange, pack_revision
from schemas.span import ERROR, Span
from schemas.trajectory import CONFLICT, OVER_CAP, Trajectory
from streams.core.assemble import assemble
from streams.core.flush import DecidedTrace, EarlyStep, Flush
from streams.core.trace import Cap, Trace, Verdicts

# Steps from which on a fold is kept for the next time. It holds every call's arguments and results as parsed values, and a
# short trace is folded again for less than that is worth.
FOLD_KEPT_FROM: Final = 20
EARLY_AGAIN_MS: Final = 3_000_000  # less than the hour for which the alerter's filter surely remembers
MODEL_KINDS: Final = frozenset({"llm", "planner", "verifier"})  # leaf model calls: an agent's tokens are their sum
Truths = Mapping[tuple[str, str], TaskTruth]  # by (workflow, task id)


@dataclass(frozen=True)
class Judging:
    """One config in force on one partition, and the evaluators that run under it."""

    partition: int
    seq: int
    registry: Registry
    evaluators: tuple[Evaluator, ...]
    provisional_every_ms: int
    cap: Cap
    early: frozenset[str] = frozenset()  # evaluators whose outcomes some rule wants before the decision

    def under(self, seq: int, registry: Registry, early: frozenset[str]) -> "Judging":
        """The same under another config."""
        return replace(self, seq=seq, registry=registry, early=early)

    def judge(self, trace: Trace, truths: Truths, clock_ms: int, flush: Flush) -> None:
        """Add to the flush what this trace amounts to; the trace keeps what must be said only once."""
        trajectory = self._assemble(trace, trace.all_items(), truths, trace.over_cap)
        results = self._results(trace, trajectory, clock_ms)
        if self.early and trace.outcomes is None and not trajectory.flags & OVER_CAP:
            flush.early += self._told_early(trace, trajectory, clock_ms)
        if trace.state == "decided" and trace.outcomes is None:
            trace.outcomes = self._outcomes(trace, trajectory, results, truths)
        if trace.outcomes is not None and not trace.published:
            flush.decided.append(DecidedTrace(trace.key, trace.anchor_ms, trace.workflow, trace.outcomes))
        row = self._row(trace, trajectory, results, clock_ms)
        if trace.state == "decided":
            verdicts: Verdicts = {(r.span_id, r.evaluator): (r.step, r.verdict) for r in results}
            if trace.verdicts is not None:
                flush.changes += _changes(row, trace.verdicts, verdicts)
            trace.verdicts = verdicts
        flush.trajectories.append(row)

    def _assemble(self, trace: Trace, items: list[Item], truths: Truths, over_cap: bool) -> Trajectory:
        flags = (CONFLICT if trace.extras else 0) | (OVER_CAP if over_cap else 0)
        return assemble(trace.key, items, self.registry, truths, trace.reason, flags)

    def _results(self, trace: Trace, trajectory: Trajectory, clock_ms: int) -> tuple[Result, ...]:
        if not _is_judged(trace.n_spans, trajectory):
            return ()
        if trajectory.flags & OVER_CAP:
            return tuple(result._replace(event_ns=trace.end_ns) for result in self._truncated(trajectory))
        local = self._local(trace, trajectory)
        if trace.state == "decided":
            results = self._folded_on(trace, trajectory, local)
            trace.evaluation = None  # what comes late is judged from the beginning
            return results
        if not self._contextual_due(trace, clock_ms):
            return (*judge(trajectory, local, _span_local(self.evaluators)), *trace.contextual)
        results = self._folded_on(trace, trajectory, local)
        by_span = {(r.span_id, r.evaluator) for told in local.values() for r in told}
        trace.contextual = tuple(r for r in results if (r.span_id, r.evaluator) not in by_span)
        return results

    def _truncated(self, trajectory: Trajectory) -> list[Result]:
        """Above the cap no step is judged: which spans came first must not matter (docs/decisions/0003)."""
        return [result for result in judge(trajectory, None, self.evaluators) if not result.span_id]

    def _folded_on(self, trace: Trace, trajectory: Trajectory, local: Known) -> tuple[Result, ...]:
        """All results, from the fold of the last time where the new steps sort after its steps, else from a new one."""
        kept = trace.evaluation
        if kept is None or not kept.continues(trajectory):
            kept = trace.evaluation = Evaluation(trajectory.workflow, trajectory.truth, self.evaluators, local)
        kept.extend(trajectory.steps[len(kept) :])
        if len(kept) < FOLD_KEPT_FROM:
            trace.evaluation = None
        return kept.results(trajectory)

    def _contextual_due(self, trace: Trace, clock_ms: int) -> bool:
        if trace.contextual_ms < 0:
            trace.contextual_ms = clock_ms
        if clock_ms - trace.contextual_ms < self.provisional_every_ms:
            return False
        trace.contextual_ms = clock_ms
        return True

    def _local(self, trace: Trace, trajectory: Trajectory) -> dict[bytes, tuple[Result, ...]]:
        """Span-local results, each judged once per span and registry entry."""
        if trace.local_for is not trajectory.workflow or trace.extras:
            trace.local, trace.local_for, trace.evaluation = {}, trajectory.workflow, None
        made = {}  # of steps that hold what other spans of the trace told: these may change with every span
        for step in trajectory.steps:
            span = step.span
            if span is not trace.items.get(span.span_id):
                made[span.span_id] = judge_span(span, trajectory.workflow, self.evaluators)
            elif span.span_id not in trace.local:
                trace.local[span.span_id] = judge_span(span, trajectory.workflow, self.evaluators)
        return {**trace.local, **made} if made else trace.local

    def _told_early(self, trace: Trace, trajectory: Trajectory, clock_ms: int) -> Iterator[EarlyStep]:
        """Outcomes of steps whose own span names the workflow that the run has: what nothing later can change.

        Once a step and evaluator while the trace is in memory. Read back after a crash or an eviction it tells those of the
        last hour again: the alerter drops what it has counted, and remembers for at least as long.
        """
        if not in_cohort(trace.key.trace_id, trajectory.workflow.sample):
            return
        for span in trace.items.values():
            if span.workflow != trajectory.workflow_name or clock_ms - span.received_ms > EARLY_AGAIN_MS:
                continue
            for result in trace.local.get(span.span_id, ()):
                told = result.step, result.evaluator
                if (
                    result.evaluator in self.early
                    and result.verdict in ("pass", "fail")
                    and told not in trace.told_early
                ):
                    trace.told_early.add(told)
                    outcome = of_step(result, span.kind, span.tool)
                    step = StepOutcome(trace.key.trace_id.hex(), 1.0, outcome)
                    yield EarlyStep(trace.key.tenant, span.workflow, step)

    def _outcomes(
        self, trace: Trace, trajectory: Trajectory, results: tuple[Result, ...], truths: Truths
    ) -> TraceOutcomes:
        """What the decision says, of exactly the items received before the deadline."""
        n_judged = trace.n_items if trace.reason == "marker" else trace.received_before(trace.deadline_ms)
        n_spans = trace.n_spans
        if 0 < n_judged < trace.n_items:  # the others were late: they change rows, never what was counted
            judged = [item for item in trace.all_items() if item.received_ms < trace.deadline_ms]
            over_cap = trace.over_cap_before(trace.deadline_ms, self.cap)
            trajectory = self._assemble(trace, judged, truths, over_cap)
            n_spans = sum(isinstance(item, Span) for item in judged)
            results = self._judged(trace, trajectory) if _is_judged(n_spans, trajectory) else ()
        trace.workflow = trajectory.workflow_name
        kinds = {step.span.span_id: (str(step.kind), step.span.tool) for step in trajectory.steps}
        return TraceOutcomes(
            trace_id=trace.key.trace_id.hex(),
            anchor_ms=trace.anchor_ms,
            n_items=n_judged or trace.n_items,
            close_reason=trace.reason,
            config_seq=self.seq,
            weight=(weight := _weight(n_spans, trajectory)),
            release=trajectory.root.release if trajectory.root else "",
            outcomes=summarise(results, kinds) if weight else (),  # only the sample is told of
        )

    def _judged(self, trace: Trace, trajectory: Trajectory) -> tuple[Result, ...]:
        """All results of some of a trace's items. What a span alone says is known only of spans that nothing else fills."""
        if trajectory.flags & OVER_CAP:
            return tuple(self._truncated(trajectory))
        if trace.local_for is not trajectory.workflow or trace.extras:
            return judge(trajectory, None, self.evaluators)
        alone = {span.span_id for span in (s.span for s in trajectory.steps) if span is trace.items.get(span.span_id)}
        known = {span_id: results for span_id, results in trace.local.items() if span_id in alone}
        return judge(trajectory, known, self.evaluators)

    def _row(self, trace: Trace, trajectory: Trajectory, results: tuple[Result, ...], clock_ms: int) -> TrajectoryRow:
        # Above the cap nothing is counted that hangs on which spans are kept: only the roots, and what all items tell.
        over = trajectory.flags & OVER_CAP
        root, steps = trajectory.root, () if over else trajectory.steps
        spans = [step.span for step in steps]
        calls = [span for span in spans if span.kind in MODEL_KINDS]
        return TrajectoryRow(
            tenant=trace.key.tenant,
            anchor_ms=trace.anchor_ms,
            trace_id=trace.key.trace_id,
            revision=pack_revision(trace.n_items + trace.n_lost, trace.state == "decided", self.seq),
            state=trace.state,
            close_reason=trace.reason,
            partition=self.partition,
            workflow=trajectory.workflow_name,
            agent=root.agent if root else "",
            task_id=root.task_id if root else "",
            session_id=(root.session_id if root else "") or next((s.session_id for s in spans if s.session_id), ""),
            release=root.release if root else "",
            n_items=trace.n_items,
            n_spans=trace.n_spans if over else len(trace.items),
            n_steps=len(steps),
            n_tool_calls=sum(span.kind == "tool_call" for span in spans),
            input_tokens=sum(span.input_tokens for span in calls),
            output_tokens=sum(span.output_tokens for span in calls),
            start_ns=trace.start_ns,
            end_ns=trace.end_ns,
            last_log_ms=clock_ms,
            deadline_ms=trace.deadline_ms,
            config_seq=self.seq,
            flags=over or trajectory.flags,
            weight=_weight(trace.n_spans, trajectory),
            results=results,
            outcomes=trace.outcomes,
        )


@lru_cache(maxsize=64)
def _span_local(evaluators: tuple[Evaluator, ...]) -> tuple[Evaluator, ...]:
    """Those that need no more than a span. To ask whether an object keeps a protocol takes longer than to judge a step."""
    return tuple(evaluator for evaluator in evaluators if isinstance(evaluator, SpanLocal))


def _weight(n_spans: int, trajectory: Trajectory) -> float:
    """What the trace counts: nothing outside the cohort that is judged, and nothing where only log records came, which
    is what an application that samples its traces sends of the others."""
    return float(n_spans > 0 and in_cohort(trajectory.key.trace_id, trajectory.workflow.sample))


def _is_judged(n_spans: int, trajectory: Trajectory) -> bool:
    """Whether a trace is judged: those that count, and what its workflow wants beside them."""
    return _weight(n_spans, trajectory) > 0 or (n_spans > 0 and _also_judged(trajectory))


def _also_judged(trajectory: Trajectory) -> bool:
    """Above the cap no: it would hang on which spans are kept."""
    wanted = trajectory.workflow.judge_also
    if not wanted or trajectory.flags & OVER_CAP:
        return False
    spans = [*trajectory.roots, *(step.span for step in trajectory.steps)]
    return ("errors" in wanted and any(s.status == ERROR or s.error_type or s.exception for s in spans)) or (
        "tasks" in wanted and any(s.task_id for s in spans)
    )


def in_cohort(trace_id: bytes, sample: float) -> bool:
    """Whether a trace is judged: by hash of its id, so that every worker and every replay chooses the same."""
    return sample >= 1.0 or xxh3_64_intdigest(trace_id) < sample * 2**64


def _changes(row: TrajectoryRow, before: Verdicts, after: Verdicts) -> list[VerdictChange]:
    changes = []
    for target in sorted(before.keys() | after.keys()):
        old_step, old = before.get(target, ("", ""))
        step, new = after.get(target, (old_step, ""))
        if old != new:
            changes.append(
                VerdictChange(
                    row.tenant,
                    row.anchor_ms,
                    row.trace_id,
                    row.revision,
                    row.workflow,
                    target[0],
                    step,
                    target[1],
                    old,
                    new,
                    row.last_log_ms,
                )
            )
    return changes
