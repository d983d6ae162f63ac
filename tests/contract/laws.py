"""The laws of evaluators (evaluators.md 1), each a function of a generated case and a list of evaluators.

A law raises AssertionError where the evaluators break it. `test_evaluator_laws` holds the catalogue to them;
`test_laws_can_fail` shows that each is able to fail.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from evaluators.base import COMMON_CODES
from evaluators.folding.evaluation import Evaluation
from evaluators.judge import judge, judge_span
from evaluators.protocols import Combining, Evaluator
from schemas.result import TRAJECTORY_STEP, Result
from schemas.span import RawSpan, Span
from schemas.trajectory import OVER_CAP, Step, Trajectory
from streams.core.engine import EnginePolicy, TrajectoryEngine
from streams.core.window import WindowPolicy
from tests.builders import EPOCH_MS
from tests.contract.generated import KEY, REGISTRY, Case
from tests.properties.world import Record, Worker, World

Evaluators = tuple[Evaluator, ...]
Law = Callable[[Case, Evaluators], None]
RAW = RawSpan(b"", b"", b"")
WINDOW = WindowPolicy(settle_one_resource_ms=1_500, settle_many_resources_ms=8_000, abandon_after_ms=60_000)
EVERY_FLUSH = EnginePolicy(WINDOW, provisional_every_ms=0, provisional_small=1_000)
FORGETFUL = EnginePolicy(WINDOW, provisional_every_ms=0, provisional_small=0, spans_in_memory_max=1)


def well_formed(case: Case, evaluators: Evaluators) -> None:
    """No error; one result a target and evaluator, in the order of the steps; codes of the closed list; a reason."""
    codes: dict[str, frozenset[str]] = {}
    for evaluator in evaluators:
        codes[evaluator.name] = codes.get(evaluator.name, COMMON_CODES) | evaluator.reason_codes
    whole = case.run.trajectory()
    for trajectory in (whole, replace(whole, closed=""), replace(whole, flags=whole.flags | OVER_CAP)):
        results = judge(trajectory, evaluators=evaluators)
        targets = [(r.span_id, r.evaluator) for r in results]
        assert len(set(targets)) == len(targets), "one result per target and evaluator"
        places = {step.span.span_id: step.index for step in trajectory.steps}
        order = [places[r.span_id] if r.span_id else len(places) for r in results]
        assert order == sorted(order), "steps in their order, the trajectory last"
        for r in results:
            assert r.verdict != "error", r
            assert (r.span_id == b"") == (r.step == TRAJECTORY_STEP), r
            assert r.score is None or 0.0 <= r.score <= 1.0, r
            assert (r.score is None) == (r.verdict == "unscored"), r
            assert (r.reason and r.reason_code) or r.verdict == "pass", r
            assert r.reason_code == "" or r.reason_code in codes[r.evaluator], r
            assert r.basis in ("task_truth", "registry", "system_of_record", "trace"), r
            assert len(r.reason) <= 2_000 and len(r.evidence) <= 20_000, "bounded, whatever the span holds"


def nothing_is_remembered(case: Case, evaluators: Evaluators) -> None:
    """Judged again from equal values that share no object, the answers are equal."""
    first = judge(case.run.trajectory(), evaluators=evaluators)
    fresh = [Span(*span) for span in case.run.spans]
    assert judge(case.run.trajectory(), evaluators=evaluators) == first
    assert judge(case.run.trajectory(fresh), evaluators=evaluators) == first


def order_and_repetition_do_not_matter(case: Case, evaluators: Evaluators) -> None:
    """The set of spans decides: not their order, nor whether one came twice, nor when it came."""
    expected = judge(case.run.trajectory(), evaluators=evaluators)
    assert judge(case.run.trajectory(case.arrival), evaluators=evaluators) == expected
    later = [span._replace(received_ms=EPOCH_MS + n) for n, span in enumerate(case.arrival)]
    assert judge(case.run.trajectory(later), evaluators=evaluators) == expected


def a_span_alone_is_judged_as_in_its_trace(case: Case, evaluators: Evaluators) -> None:
    """What is span-local may be computed before anybody knows the trace."""
    whole = case.run.trajectory()
    local = {step.span.span_id: judge_span(step.span, whole.workflow, evaluators) for step in whole.steps}
    assert judge(whole, local, evaluators) == judge(whole, evaluators=evaluators)


def company_does_not_matter(case: Case, evaluators: Evaluators) -> None:
    """Alone, an evaluator says what it says beside the others: what they share must not tell one of another's steps."""
    whole = case.run.trajectory()
    together = judge(whole, evaluators=evaluators)
    for name, group in by_name(evaluators):
        if not any(isinstance(e, Combining) for e in group):
            alone = judge(whole, evaluators=group)
            assert alone == tuple(r for r in together if r.evaluator == name), name


def every_prefix_is_answered_as_if_it_were_all(case: Case, evaluators: Evaluators) -> None:
    """Asked after every step, open: each answer is that of a batch over those steps; so is the last, closed."""
    whole = case.run.trajectory()
    folded = Evaluation(whole.workflow, whole.truth, evaluators)
    for count in range(1, len(whole.steps) + 1):
        folded.extend(whole.steps[count - 1 : count])
        prefix = replace(whole, steps=whole.steps[:count], closed="")
        assert folded.results(prefix) == _batch(prefix, evaluators)
    assert folded.results(whole) == _batch(whole, evaluators)


def asking_changes_nothing(case: Case, evaluators: Evaluators) -> None:
    """Whoever asks, when, how often, in which frame: answers depend on steps, roots and `closed` alone.

    The frame is handed over without its steps, which no evaluator may read but as they are folded.
    """
    whole = case.run.trajectory()
    folded = Evaluation(whole.workflow, whole.truth, evaluators)
    done: list[Step] = []
    for asked, chunk in enumerate(case.chunks(whole.steps)):
        folded.extend(chunk)
        done += chunk
        for frame in _frames(whole, asked >= case.root_at):
            now = replace(frame, steps=tuple(done))
            assert folded.results(replace(frame, steps=(), flags=0)) == _batch(now, evaluators)
    assert folded.results(replace(whole, steps=())) == _batch(whole, evaluators)


def _frames(whole: Trajectory, rooted: bool) -> Iterator[Trajectory]:
    if not rooted:
        whole = replace(whole, root=None, roots=())
    yield replace(whole, closed="")
    yield whole
    yield replace(whole, closed="")


def _batch(trajectory: Trajectory, evaluators: Evaluators) -> tuple[Result, ...]:
    """As `judge` does, from steps that nobody has read yet."""
    fresh = tuple(Step(s.index, s.span, s.label, s.agent, s.parent) for s in trajectory.steps)
    return judge(replace(trajectory, steps=fresh), evaluators=evaluators)


def the_engine_says_at_every_flush_what_a_batch_says(case: Case, evaluators: Evaluators) -> None:
    """Through the engine, in chunks, with repetitions: every row, provisional or final, is that of its spans."""
    engine = TrajectoryEngine(0, EVERY_FLUSH, 1, REGISTRY, evaluators)
    engine.tick(EPOCH_MS)
    come: list[Span] = []
    for chunk in case.chunks(case.arrival):
        for span in chunk:
            engine.fold(span._replace(received_ms=EPOCH_MS), RAW)
        come += chunk
        for row in engine.take(case.run.truths).trajectories:
            assert row.results == judge(case.run.trajectory(come, ""), evaluators=evaluators)
    engine.finish()
    (row,) = engine.take(case.run.truths).trajectories
    assert row.results == judge(case.run.trajectory(closed="marker"), evaluators=evaluators)


def the_store_gives_back_what_memory_forgot(case: Case, evaluators: Evaluators) -> None:
    """Through a worker that forgets the trace at every flush, and dies at some: the final row is that of the spans."""
    log = [
        Record(EPOCH_MS + n, [span._replace(received_ms=EPOCH_MS + n) for span in chunk])
        for n, chunk in enumerate(case.chunks(case.arrival))
    ]
    world = World(log, FORGETFUL, REGISTRY, evaluators=evaluators, truths=case.run.truths)
    worker = Worker(world)
    for dies in case.cuts:
        worker.consume()
        worker.step()
        if dies:
            worker.step()
            worker = Worker(world)
        else:
            worker.flush_whole()
    worker = Worker(world)
    while worker.position < len(log):
        worker.consume()
        worker.flush_whole()
    worker.idle(EPOCH_MS + 10_000_000)
    worker.flush_whole()
    row = world.store.rows[KEY]
    assert row.state == "decided"
    assert row.results == judge(case.run.trajectory(closed=row.close_reason), evaluators=evaluators)


def by_name(evaluators: Evaluators) -> Iterator[tuple[str, Evaluators]]:
    """The evaluators of each name: their results cannot be told apart."""
    for name in dict.fromkeys(e.name for e in evaluators):
        yield name, tuple(e for e in evaluators if e.name == name)


LAWS: tuple[Law, ...] = (
    well_formed,
    nothing_is_remembered,
    order_and_repetition_do_not_matter,
    a_span_alone_is_judged_as_in_its_trace,
    company_does_not_matter,
    every_prefix_is_answered_as_if_it_were_all,
    asking_changes_nothing,
    the_engine_says_at_every_flush_what_a_batch_says,
    the_store_gives_back_what_memory_forgot,
)
