"""The runs of a scenario: seeded, with the truth of what went wrong in each. Pure."""

import heapq
from collections.abc import Iterable, Iterator
from random import Random
from typing import NamedTuple

from streams.demo.case import draw
from streams.demo.mishap import everyday
from streams.demo.play import Case, play_of
from streams.demo.scribe import SpanPlan, spans_of
from tests.scenarios.faults import IN_PLAYS, IN_SPANS, handed_over
from tests.scenarios.scenario import Fault, Kind, Phase, Scenario

SLOW_MS = 2_000  # the budget of every tool in the registry of the demonstration


class Cast(NamedTuple):
    """One run to be: when it ends, and what is true of it."""

    at_s: float  # of the play
    scenario: str
    phase: int
    tenant: str
    release: str
    trace_id: int
    span_ids: tuple[int, ...]
    spans: tuple[SpanPlan, ...]
    struck: frozenset[Kind]  # what went wrong in it
    mishaps: frozenset[str]  # tools with which something of the everyday kind went wrong besides

    @property
    def length_ms(self) -> float:
        """From the start of its root to its end."""
        return self.spans[0].end_ms


def cast(scenarios: dict[str, Scenario]) -> Iterator[Cast]:
    """All runs of all scenarios, by time."""
    return heapq.merge(*(runs(name, scenario) for name, scenario in scenarios.items()), key=lambda run: run.at_s)


def runs(name: str, scenario: Scenario) -> Iterator[Cast]:
    """The runs of one scenario, by time."""
    begin_s = 0.0
    for number, phase in enumerate(scenario.phases):
        chosen: dict[int, int] = {}  # how many runs a fault of the phase has struck
        for i in range(phase.runs):
            at_s = begin_s + phase.seconds * i / phase.runs
            for tenant in scenario.tenants:
                yield _run(name, scenario, number, i, at_s, tenant, chosen)
        begin_s += phase.seconds


def _run(name: str, scenario: Scenario, number: int, i: int, at_s: float, tenant: str, chosen: dict[int, int]) -> Cast:
    phase = scenario.phases[number]
    rng = Random(f"{name}/{scenario.seed}/{number}/{i}/{tenant}")
    release = rng.choice(phase.releases)
    play = everyday(play_of(_case(scenario.play, rng)), rng)
    mishaps = {call.tool for call in play.calls if call.error}
    play = play._replace(case=play.case._replace(workflow=name, task_id=""))
    faults = [
        fault for at, fault in enumerate(phase.faults) if _strikes(fault, at, phase, i, release, tenant, rng, chosen)
    ]
    for fault in faults:
        if fault.kind in IN_PLAYS:
            play = IN_PLAYS[fault.kind](play, fault.tool)
    spans = spans_of(play, f"{name}-{number}-{i}-{tenant}", rng)
    mishaps |= {_tool(plan) for plan in spans if _tool(plan) and plan.end_ms - plan.start_ms > SLOW_MS}
    if scenario.handoffs and not any(fault.kind == "handoff_loop" for fault in faults):
        spans = handed_over(spans)
    for fault in faults:
        if fault.kind in IN_SPANS:
            spans = IN_SPANS[fault.kind](spans, fault.tool)
    ids = tuple(rng.getrandbits(64) or 1 for _ in spans)
    struck = frozenset(fault.kind for fault in faults)
    return Cast(
        at_s, name, number, tenant, release, rng.getrandbits(128) or 1, ids, tuple(spans), struck, frozenset(mishaps)
    )


def _tool(plan: SpanPlan) -> str:
    return plan.name.removeprefix("execute_tool ") if plan.name.startswith("execute_tool ") else ""


def _strikes(
    fault: Fault, at: int, phase: Phase, i: int, release: str, tenant: str, rng: Random, chosen: dict[int, int]
) -> bool:
    share = fault.share
    if fault.grows_to is not None:
        share += (fault.grows_to - share) * i / max(1, phase.runs - 1)
    luck = rng.random()  # drawn whether it matters or not: what is decided here changes nothing after it
    fits = (not fault.release or fault.release == release) and (not fault.tenant or fault.tenant == tenant)
    if not fits or luck >= share or (fault.runs is not None and chosen.get(at, 0) >= fault.runs):
        return False
    chosen[at] = chosen.get(at, 0) + 1
    return True


def _case(play: str, rng: Random) -> Case:
    while (case := draw(rng)).workflow != play:
        pass
    return case


def struck_by(runs: Iterable[Cast], kinds: Iterable[Kind]) -> list[Cast]:
    """The runs in which one of these went wrong."""
    wanted = frozenset(kinds)
    return [run for run in runs if run.struck & wanted]
