"""Was it right? What the scenarios demand, against the events that were published. Pure.

For every scenario: exactly the series of `fires` opened an alert, as often as it should, each closed by exactly one
`resolved` with the right reason; the evidence of each event is what the outcome log counts; the onset lies where the fault
began; every exemplar is a run in which that fault struck; and attribution, where it is told, names the cause first.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.alert import AlertEvent
from schemas.attribution import Cause
from tests.scenarios.casting import Cast
from tests.scenarios.evidence import Counts
from tests.scenarios.heard import Heard
from tests.scenarios.scenario import Fires, Scenario

StoredName = tuple[str, str, str, str]  # workflow, step, evaluator, verdict


class Played(NamedTuple):
    """A run that took place: what is true of it, and when its root ended, by the wall clock."""

    cast: Cast
    end_ms: int

    @property
    def trace_id(self) -> str:
        return f"{self.cast.trace_id:032x}"

    @property
    def start_ms(self) -> int:
        return self.end_ms - int(self.cast.length_ms)


class SeriesName(NamedTuple):
    """What tells series apart."""

    rule: str
    tenant: str
    step: str
    evaluator: str

    def __str__(self) -> str:
        tenant = "" if self.tenant == "default" else f"{self.tenant}: "
        return f"{tenant}{self.rule} {self.step} {self.evaluator}"


class Verdict(NamedTuple):
    """One scenario, told."""

    scenario: str
    seed: int
    expected: list[str]
    seen: list[str]
    delays_s: list[float]  # from the end of the first bad run to the event on the topic
    causes: list[str]
    problems: list[str]


def series_of(fires: Fires) -> SeriesName:
    """Whom a demand is about."""
    return SeriesName(fires.rule, fires.tenant, fires.step, fires.evaluator)


def series_of_event(event: AlertEvent) -> SeriesName:
    """Whom an event is about."""
    labels = dict(event.labels)
    return SeriesName(event.rule.uid, event.tenant, labels.get("step", ""), labels.get("evaluator", ""))


def judge(
    name: str,
    scenario: Scenario,
    played: Sequence[Played],
    heard: Iterable[Heard],
    counts: Counts,
    stored: Mapping[StoredName, int],
    pace: float = 1.0,
) -> Verdict:
    """The verdict of one scenario; `heard` holds each event of its workflow once, `stored` counts runs by verdict."""
    by_series: dict[SeriesName, list[Heard]] = {}
    for h in heard:
        if isinstance(h.event, AlertEvent):
            by_series.setdefault(series_of_event(h.event), []).append(h)
    demanded = {series_of(fires): fires for fires in scenario.fires}
    problems = [f"{series} fired and should not have" for series in by_series if series not in demanded]
    for wanted in scenario.stored:
        there = stored.get((name, wanted.step, wanted.evaluator, wanted.verdict), 0)
        if there < wanted.runs:
            problems += [f"{there} runs are stored as {wanted.verdict} at {wanted.step}, not {wanted.runs}"]
    delays, causes = list[float](), list[str]()
    for series, fires in demanded.items():
        told = _Told(
            series, fires, played, by_series.get(series, []), counts, max(1.0, pace), by_log=scenario.day is not None
        )
        problems += [f"{series}: {problem}" for problem in told.problems()]
        delays += told.delays_s()
        causes += told.causes()
    return Verdict(
        name,
        scenario.seed,
        [f"{series} x{len(fires.resolved)}" for series, fires in demanded.items()] or ["nothing"],
        [f"{series} x{_opened(told)}" for series, told in by_series.items()] or ["nothing"],
        delays,
        causes,
        problems,
    )


def _opened(heard: Sequence[Heard]) -> int:
    return sum(h.event.seq == 1 for h in heard if isinstance(h.event, AlertEvent))


class _Told:
    """What the events of one series say, against what is demanded of it."""

    def __init__(
        self,
        series: SeriesName,
        fires: Fires,
        played: Sequence[Played],
        heard: Sequence[Heard],
        counts: Counts,
        pace: float,
        *,
        by_log: bool,
    ) -> None:
        self._by_log = by_log
        self._series, self._fires, self._counts, self._pace = series, fires, counts, pace
        self._events = [h.event for h in heard if isinstance(h.event, AlertEvent)]
        self._heard = heard
        self._bad = [p for p in played if p.cast.tenant == fires.tenant and p.cast.struck & frozenset(fires.bad)]
        self._may_be_bad = {p.trace_id for p in self._bad} | {p.trace_id for p in played if _hurt(p.cast, fires.step)}
        self._episodes = self._split()
        self._stretches = _stretches(self._bad)

    def _split(self) -> list[list[Heard]]:
        found: dict[int, list[Heard]] = {}
        for h in self._heard:
            assert isinstance(h.event, AlertEvent)
            found.setdefault(h.event.episode, []).append(h)
        return [found[episode] for episode in sorted(found)]

    def problems(self) -> list[str]:
        """All that is wrong."""
        wanted = self._fires.resolved
        if len(self._episodes) != len(wanted):
            return [f"{len(self._episodes)} alerts and not {len(wanted)}: {[e.reason for e in self._events]}"]
        found = []
        for number, (episode, reason) in enumerate(zip(self._episodes, wanted, strict=True)):
            events = [h.event for h in episode if isinstance(h.event, AlertEvent)]
            found += _life(events, self._fires.opens, reason)
            if self._fires.opens == "firing" and events:
                found += self._opening(events[0], number) + _cause(events[0], self._fires.cause_of(number))
                found += [problem for event in events for problem in self._evidence(event)]
        return found

    def _opening(self, event: AlertEvent, number: int) -> list[str]:
        found, (low, high) = [], self._fires.rate
        if not low <= event.evidence.rate <= high:
            found.append(f"the fail rate is told as {event.evidence.rate:.2f}, not {low} to {high}")
        if number < len(self._stretches):
            began_ms = min(run.start_ms for run in self._stretches[number])
            first_ms = self._stretches[number][0].end_ms
            if not began_ms <= event.starts_ms <= first_ms + 1000 * self._fires.onset_s * self._pace:
                off_s = (event.starts_ms - first_ms) / 1000
                found.append(f"the onset is told {off_s:+.1f} s from the end of the first bad run")
        return found

    def _evidence(self, event: AlertEvent) -> list[str]:
        found = self._counts.problems(event)
        strangers = [e.trace_id for e in event.exemplars if e.trace_id not in self._may_be_bad]
        if strangers:
            found.append(f"{len(strangers)} exemplars of {event.type} are no bad runs, such as {strangers[0]}")
        if event.type == "firing" and not event.exemplars:
            found.append("no exemplars")
        return found

    def delays_s(self) -> list[float]:
        """Of each alert, from the end of the first bad run; in fast replay by the log clock."""
        return [
            ((episode[0].event.time_ms if self._by_log else episode[0].emitted_ms) - stretch[0].end_ms) / 1000
            for episode, stretch in zip(self._episodes, self._stretches, strict=False)
        ]

    def causes(self) -> list[str]:
        """What each alert names first."""
        opened = [episode[0].event for episode in self._episodes]
        named = [_first_cause(event) for event in opened if isinstance(event, AlertEvent)]
        return [cause.sentence if cause else "none" for cause in named] if self._fires.opens == "firing" else []


def _cause(event: AlertEvent, wanted: dict[str, str]) -> list[str]:
    if not wanted:
        return []
    if event.attribution is None:
        return ["nobody told what changed"]
    first = _first_cause(event)
    told = {name: str(getattr(first, name)) for name in wanted} if first else {}
    return [] if told == wanted else [f"the first cause is {told}, not {wanted}"]


def _first_cause(event: AlertEvent) -> Cause | None:
    return event.attribution.causes[0] if event.attribution and event.attribution.causes else None


def _hurt(run: Cast, step: str) -> bool:
    """Whether something of the everyday kind happened at a step; the verifier hears of all of it."""
    return any(step in ("verifier", f"executor/{tool}", f"planner/{tool}") for tool in run.mishaps)


def _life(events: Sequence[AlertEvent], opens: str, reason: str) -> list[str]:
    """Opened by one event, closed by one, nothing after it."""
    types = [event.type for event in events]
    found = []
    if [event.seq for event in events] != list(range(1, len(events) + 1)):
        found.append(f"the transitions are numbered {[event.seq for event in events]}")
    if types[0] != opens or types.count("firing") > 1:
        found.append(f"opened by {types[0]}, not {opens}: {types}")
    if types.count("resolved") != 1 or types[-1] != "resolved":
        found.append(f"not ended by one resolved: {types}")
    elif events[-1].reason != reason:
        found.append(f"resolved as {events[-1].reason}, not {reason}")
    return found


def _stretches(bad: Sequence[Played]) -> list[list[Played]]:
    """The bad runs, by uninterrupted sequences of phases."""
    found: list[list[Played]] = []
    for run in bad:
        if found and run.cast.phase - found[-1][-1].cast.phase <= 1:
            found[-1].append(run)
        else:
            found.append([run])
    return found


def of_workflow(heard: Iterable[Heard], until_ms: Mapping[str, int]) -> dict[str, list[Heard]]:
    """Alert events by scenario, each has a workflow of its own; those before the scenario was over."""
    found: dict[str, list[Heard]] = {name: [] for name in until_ms}
    for h in heard:
        if isinstance(h.event, AlertEvent):
            workflow = dict(h.event.labels)["workflow"]
            if h.event.time_ms <= until_ms[workflow]:
                found[workflow].append(h)
    return found
