"""A scorer that is killed between any two of its effects, with the log ahead of it, ends in the rows of one that lived.

The runs are sent shuffled and twice, slowly enough that by the log's own clock the earlier ones are due long before the
last ones come: each killed scorer stores, decides and publishes some while others wait on the topic.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from schemas.outcome import OutcomeRecord, TraceOutcomes, decode
from streams.core.alerting import Alerting
from streams.core.checkpoint import restore
from streams.local.stack import LocalStack
from streams.settings import Settings
from tests.integration.conftest import NewStack
from tests.integration.pipeline import (
    DEADLINE_S,
    DONE,
    FAST,
    LEDGER,
    PUBLISHED,
    Recorded,
    difference,
    environment,
    jsonl,
    lag_of,
    prepare,
    query,
    records_of,
    rows_of,
    run,
    spans_in_log,
    until,
)

SETTLE = {"STEPWATCH_SETTLE_ONE_RESOURCE_MS": "200", "STEPWATCH_SETTLE_MANY_RESOURCES_MS": "200"}
ALERTER = {"STEPWATCH_TICK_INTERVAL_S": "0.5", "STEPWATCH_CHECKPOINT_INTERVAL_S": "1"}
SPANS_PER_S = "2000"  # of some 6,700: longer than a dozen settle times
# A window of a day remembers how many runs it counted. One series a workflow, every evaluator: each run counts once.
COUNTS_RUNS = """
rules:
  - uid: runs
    group_by: [workflow]
    condition: {method: window, window: 24h, fail_rate_above: 0.99}
"""


def hostile(recorded: Recorded, to: Path) -> Path:
    """The same spans, shuffled within each trace's time and sent twice, many small exports."""
    rng = random.Random(7)
    spans = [
        (document["resourceSpans"][0], span)
        for document in jsonl(recorded.traces)
        for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    # Each span moves by up to two seconds of its trace's own time: before or after its neighbours, never a year away.
    order = sorted(spans, key=lambda pair: int(pair[1]["endTimeUnixNano"]) + rng.randint(0, 2_000_000_000))
    with to.open("w") as file:
        for at in range(0, len(order), 5):
            group = [
                {
                    "resource": frame["resource"],
                    "scopeSpans": [{"scope": frame["scopeSpans"][0]["scope"], "spans": [span]}],
                }
                for frame, span in order[at : at + 5]
            ]
            line = json.dumps({"resourceSpans": group}) + "\n"
            file.write(line + line if at % 10 == 0 else line)
        for frame, span in order[:1_000]:  # and the first thousand once more, late
            scope = frame["scopeSpans"][0]["scope"]
            only = {"resource": frame["resource"], "scopeSpans": [{"scope": scope, "spans": [span]}]}
            file.write(json.dumps({"resourceSpans": [only]}) + "\n")
    return to


KILLS = ("after_spans:2", "after_trajectories:2", "after_outcomes:2", "root_undecided:1")


async def test_a_scorer_killed_anywhere_ends_in_the_same_rows_and_is_counted_once(
    own_parts: NewStack, recorded: Recorded, tmp_path: Path
) -> None:
    stack = await own_parts("gateway", "alerter", environment={**FAST, **ALERTER})
    settings = stack.settings
    rules = tmp_path / "rules.yaml"
    rules.write_text(COUNTS_RUNS)
    await prepare(stack, recorded, rules)
    await become("rules in force", lambda: has_rules(settings))
    traces = hostile(recorded, tmp_path / "hostile.jsonl")
    await run(stack, "send", traces, "--rate", SPANS_PER_S)  # all of it lies there before the first scorer starts
    in_log = await spans_in_log(settings)

    env = {**environment(stack), **SETTLE, "STEPWATCH_FLUSH_ROWS_MAX": "300"}
    to_repeat: dict[str, set[str]] = {}
    for failpoint in KILLS:  # one after the other, each on what its predecessor left
        killed = await scorer(env, failpoint)
        assert await asyncio.wait_for(killed.wait(), DEADLINE_S) == -9, f"{failpoint} was reached"
        assert await lag_of(settings) > 0, f"{failpoint}: there is more on the topic than was committed"
        assert query(stack, "SELECT uniqExact(trace_id) FROM published")[0][0] < 200, f"{failpoint}: not at the end"
        to_repeat[failpoint] = set(await outcomes_of(settings)) - marked(stack)
    assert to_repeat["after_outcomes:2"], "it died with outcomes of decided runs published and not marked so"

    last = await scorer(env, None)
    try:
        await until(stack, DONE, [200, 200, 3818])
        await until(stack, PUBLISHED, [200])
        await until(stack, LEDGER, [in_log, in_log, 0, 0])
        assert difference(rows_of(stack), recorded.results) == []
        assert query(stack, "SELECT count(), uniqExact(trace_id, span_id) FROM v1_spans") == [(3818, 3818)]
    finally:
        last.terminate()
        await last.wait()

    copies = await outcomes_of(settings)
    assert len(copies) == 200
    assert {len(set(of_trace)) for of_trace in copies.values()} == {1}, "published again, it is the same"
    for failpoint, traces_left in to_repeat.items():
        assert all(len(copies[trace]) >= 2 for trace in traces_left), f"{failpoint}: published again after the restart"
    await become("all outcomes folded", lambda: has_folded_all(settings))
    folds = await folds_of(settings)
    assert sum(counted(fold) for fold in folds.values()) == 200, "the alerter counts each run once"
    assert sum(fold.repeated for fold in folds.values()) == sum(map(len, copies.values())) - 200


async def scorer(env: dict[str, str], failpoint: str | None) -> asyncio.subprocess.Process:
    extra = {"STEPWATCH_FAILPOINT": failpoint} if failpoint else {}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "streams.console", "scorer",
        env={**os.environ, **env, **extra}, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip


async def become(said: str, there: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE_S
    while not await there():
        assert loop.time() < end, f"not {said} after {DEADLINE_S} s"
        await asyncio.sleep(0.3)


def marked(stack: LocalStack) -> set[str]:
    """The runs that the store knows to be published."""
    return {trace for (trace,) in query(stack, "SELECT DISTINCT lower(hex(trace_id)) FROM published")}


async def outcomes_of(settings: Settings) -> dict[str, list[TraceOutcomes]]:
    """All that is on the outcome log, by run, in log order."""
    found: dict[str, list[TraceOutcomes]] = {}
    for record in await records_of(settings, settings.outcomes_topic):
        decoded = decode(record.value)
        for trace in decoded.traces if isinstance(decoded, OutcomeRecord) else ():
            found.setdefault(trace.trace_id, []).append(trace)
    return found


async def folds_of(settings: Settings) -> dict[int, Alerting]:
    """The alerter's own state by partition, from its newest checkpoints."""
    newest = {record.partition: record.value for record in await records_of(settings, settings.checkpoint_topic)}
    return {partition: restore(value) for partition, value in newest.items()}


async def has_rules(settings: Settings) -> bool:
    folds = await folds_of(settings)
    return len(folds) == settings.outcomes_partitions and all(fold.rules_seq > 0 for fold in folds.values())


async def has_folded_all(settings: Settings) -> bool:
    """Whether the checkpoints are behind the last outcomes of their partitions; ticks go on for ever."""
    last = {
        record.partition: record.offset
        for record in await records_of(settings, settings.outcomes_topic)
        if isinstance(decode(record.value), OutcomeRecord)
    }
    folds = await folds_of(settings)
    return all(folds[partition].next_offset > offset for partition, offset in last.items())


def counted(fold: Alerting) -> float:
    """How many runs the series of `COUNTS_RUNS` have counted: in their windows, and in the ten seconds under way."""
    return sum(series.gauge.onset().n + series.bucket.n for series in fold.board.series.values())
