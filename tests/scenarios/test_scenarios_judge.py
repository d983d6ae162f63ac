"""The judge of the scenarios says what is wrong: a verdict that could not be otherwise would be none."""

from dataclasses import dataclass, field
from typing import Any

from schemas.alert import AlertEvent
from tests.builders import EPOCH_MS
from tests.outcomes import RULES, Entry, alerts, new_fold, pauses, run, timeline
from tests.scenarios.casting import Cast
from tests.scenarios.evidence import Counts
from tests.scenarios.heard import Heard, Logged, by_key, once
from tests.scenarios.judge import Played, Verdict, judge
from tests.scenarios.scenario import Scenario

FIRES = {
    "rule": "tools",
    "step": "executor/update_crm",
    "evaluator": "ToolCallSuccess",
    "bad": ["tool_error"],
    "rate": [0.5, 1.0],
}
BROKEN = range(60, 90)


@dataclass
class World:
    """A break and its repair, as the fold tells them, and the runs that it came from."""

    fires: list[dict[str, Any]] = field(default_factory=lambda: [FIRES])
    stored: dict[tuple[str, str, str, str], int] = field(default_factory=lambda: {("x", "s", "E", "fail"): 2})
    log: list[Entry] = field(default_factory=lambda: pauses(timeline((60, 0), (30, 1), (100, 0)), minutes=2))

    def __post_init__(self) -> None:
        self.events = alerts(run(new_fold(RULES), self.log))
        self.played = [self._played(n) for n in range(190)]

    def _played(self, n: int) -> Played:
        struck = frozenset({"tool_error"}) if n in BROKEN else frozenset()
        phase = (n in BROKEN) + 2 * (n >= BROKEN.stop)
        at_ms = EPOCH_MS + 2_000 * (n + 1)
        return Played(Cast(0, "x", phase, "default", "1", n + 1, (), (Span(1_000),), struck, frozenset()), at_ms)

    def verdict(self, events: list[AlertEvent] | None = None) -> Verdict:
        stored = [{"step": "s", "evaluator": "E", "verdict": "fail", "runs": 2}]
        scenario = Scenario.model_validate(
            {"about": "", "seed": 1, "phases": [], "fires": self.fires, "stored": stored}
        )
        counts = Counts(Logged(3, i, e.append_ms, e.record) for i, e in enumerate(self.log))
        return judge("x", scenario, self.played, [heard(e) for e in (events or self.events)], counts, self.stored)


@dataclass
class Span:
    end_ms: float


def heard(event: AlertEvent) -> Heard:
    return Heard(event.source, event.id, event, {}, event.time_ms)


def only(verdict: Verdict, *words: str) -> bool:
    return bool(verdict.problems) and all(any(word in problem for problem in verdict.problems) for word in words)


def test_what_is_right_is_called_right() -> None:
    verdict = World().verdict()
    assert verdict.problems == []
    assert verdict.seen == verdict.expected == ["tools executor/update_crm ToolCallSuccess x1"]


def test_a_series_that_did_not_fire_and_one_that_should_not_have_are_told() -> None:
    assert only(World(fires=[]).verdict(), "fired and should not have")
    assert only(World(fires=[FIRES, {**FIRES, "step": "executor/other"}]).verdict(), "0 alerts and not 1")
    assert only(World(fires=[{**FIRES, "resolved": ["recovered", "recovered"]}]).verdict(), "1 alerts and not 2")


def test_an_alert_that_does_not_end_or_ends_otherwise_is_told() -> None:
    world = World()
    assert only(world.verdict([e for e in world.events if e.type != "resolved"]), "not ended by one resolved")
    assert only(World(fires=[{**FIRES, "resolved": ["series_expired"]}]).verdict(), "resolved as recovered")


def test_wrong_evidence_is_told() -> None:
    world = World()
    firing, *others = world.events
    more = firing._replace(evidence=firing.evidence._replace(n=firing.evidence.n + 1))
    assert only(world.verdict([more, *others]), "no such buckets")
    assert only(World(fires=[{**FIRES, "rate": [0.0, 0.1]}]).verdict(), "the fail rate")
    early = firing._replace(starts_ms=firing.starts_ms - 60_000)
    assert only(world.verdict([early, *others]), "the onset")


def test_an_exemplar_of_a_good_run_is_told() -> None:
    world = World()
    firing, *others = world.events
    stranger = firing.exemplars[0]._replace(trace_id=f"{5:032x}")
    assert only(world.verdict([firing._replace(exemplars=(stranger,)), *others]), "no bad runs")
    assert only(world.verdict([firing._replace(exemplars=()), *others]), "no exemplars")


def test_verdicts_that_are_not_stored_are_told() -> None:
    assert only(World(stored={("x", "s", "E", "fail"): 1}).verdict(), "1 runs are stored")


def test_repetitions_are_taken_out_by_source_and_id_and_order_holds_per_key() -> None:
    first, last = (heard(event) for event in World().events)
    assert once([first, last, first]) == [first, last]
    assert by_key([last, first]) == {first.event.alert_key: [last, first]}
