"""The whole demonstration, from an empty folder to its verdict: stack, config, play, closing words.

One loop, one thread, beside the simulator's. The law: whatever ends it (the end, an error, Ctrl-C), the stack and the
simulator end with it; and it never says that all is well unless the alerts topic and the store say so.
"""

import asyncio
import shlex
import shutil
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import yaml
from rich.console import Console

from schemas.expectation import parse_expectation
from streams.config_log import publish_config
from streams.console.errors import UserError
from streams.console.stack import StatusLines
from streams.demo import closing
from streams.demo.expected import Outcome, Series, compare, read_expected, sentence
from streams.demo.screen import Screen, plain, screen_for
from streams.demo.script import Schedule, runs
from streams.demo.simulator import Emitter, Performance, otlp_exporter
from streams.demo.view import Snapshot
from streams.demo.watch import KafkaWatch, StoreWatch
from streams.local.stack import LocalStack
from streams.local.state import LOCK_FILE, is_running
from streams.settings import Settings
from streams.store import expectations
from streams.store.client import connect

EXAMPLES = Path(__file__).parents[2] / "infra" / "examples"
LOOK_EVERY_S = 1.0
SETTLE_MAX_S = 20.0  # after the play: until the last runs are judged

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for."""

    data_dir: Path
    seed: int
    spans_per_s: float
    schedule: Schedule
    keep: bool
    picture: Path | None = None  # where to leave an SVG of the page


async def demonstrate(wishes: Wishes, settings: Settings, console: Console) -> int:
    """Run it. Returns the exit code: 0 when exactly the expected series fired and resolved, and no span was lost."""
    clear(wishes.data_dir)
    expected = read_expected(yaml.safe_load((EXAMPLES / "demo-expected.yaml").read_text(encoding="utf-8")))
    stack = LocalStack(wishes.data_dir, settings, report=StatusLines(console))
    await stack.start()
    try:
        await arrange(stack.settings)
        code = await _unless_the_stack_fails(stack, _play(wishes, stack.settings, expected, console))
        if wishes.keep:
            _say_where(stack, console)
            await stack.wait()
        return code
    finally:
        await stack.stop()


def clear(data_dir: Path) -> None:
    """Make room for a new demonstration. Raises UserError when a stack runs there or it is somebody else's folder."""
    if not data_dir.exists():
        return
    if is_running(data_dir):
        raise UserError(
            f"a demonstration runs in {data_dir} already: stop it with `stepwatch down --data-dir {shlex.quote(str(data_dir))}`"
        )
    if not (data_dir / LOCK_FILE).exists() and any(data_dir.iterdir()):
        raise UserError(f"{data_dir} is no data folder of Stepwatch, so it is not emptied: choose another --data-dir")
    shutil.rmtree(data_dir)


async def arrange(settings: Settings) -> None:
    """Publish the shipped registry and rules, load the shipped task truth."""
    registry, rules = ((EXAMPLES / name).read_text(encoding="utf-8") for name in ("workflows.yaml", "rules.yaml"))
    await publish_config(settings, registry, rules)
    await asyncio.to_thread(_load_truth, settings)


def _load_truth(settings: Settings) -> None:
    path = EXAMPLES / "expectations.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    client = connect(settings)
    expectations.load(client, [parse_expectation(text, path.name, n) for n, text in enumerate(lines, 1)])
    client.close()


async def _play(wishes: Wishes, settings: Settings, expected: frozenset[Series], console: Console) -> int:
    endpoint = f"http://{settings.gateway_host}:{settings.gateway_port}"
    script = runs(wishes.seed, wishes.spans_per_s, wishes.schedule)
    performance = Performance(script, Emitter(lambda: otlp_exporter(endpoint)))
    store = StoreWatch(settings)
    async with KafkaWatch(settings) as kafka:
        performance.start()
        try:
            with screen_for(console, wishes.schedule, wishes.picture) as screen:
                await _watch(performance, store, kafka, screen, expected)
                await asyncio.to_thread(performance.stop)
                await _settle(performance, store, kafka, screen)
            outcome = compare(expected, kafka.events)
            await asyncio.to_thread(_close, store, kafka, console)
            return _verdict(outcome, performance, store, console)
        finally:
            performance.abandon()
            store.close()


async def _watch(
    performance: Performance, store: StoreWatch, kafka: KafkaWatch, screen: Screen, expected: frozenset[Series]
) -> None:
    """Show the play until the alerts that must resolve have resolved, or the script is at its end."""
    start = time.monotonic()
    while performance.running:
        await _look(performance, store, kafka, screen, time.monotonic() - start)
        if performance.phase == "repaired" and compare(expected, kafka.events).complete:
            return
        await asyncio.sleep(LOOK_EVERY_S)
    if performance.failure is not None:
        raise performance.failure


async def _settle(performance: Performance, store: StoreWatch, kafka: KafkaWatch, screen: Screen) -> None:
    """Wait until every span that was sent is stored and every run judged; bounded."""
    start, at_s = time.monotonic(), performance.at_s
    while (passed_s := time.monotonic() - start) < SETTLE_MAX_S:
        await _look(performance, store, kafka, screen, at_s + passed_s)
        if store.stored >= performance.emitter.tally.delivered and not store.open_windows:
            return
        await asyncio.sleep(LOOK_EVERY_S)


async def _look(performance: Performance, store: StoreWatch, kafka: KafkaWatch, screen: Screen, at_s: float) -> None:
    news, _ = await asyncio.gather(kafka.look(), asyncio.to_thread(store.look))
    screen.show(
        Snapshot(
            at_s=at_s,
            phase=performance.phase,
            emitted=performance.emitter.tally.emitted,
            spans_per_s=store.spans_per_s,
            stored=store.stored,
            decided=store.decided,
            open_windows=store.open_windows,
            lag=kafka.lag,
            rates=store.rates,
            alerts=tuple(kafka.events),
        ),
        news,
    )


def _close(store: StoreWatch, kafka: KafkaWatch, console: Console) -> None:
    console.print(closing.events(kafka.events))
    trace_id = closing.first_bad_trace(store.query, console)
    if trace_id is not None:
        closing.trajectory(store.query, trace_id, console)


def _verdict(outcome: Outcome, performance: Performance, store: StoreWatch, console: Console) -> int:
    tally = performance.emitter.tally
    whole = tally.emitted == tally.delivered == store.stored
    plain(console, f"\n{tally.emitted:,} spans sent, {tally.delivered:,} taken by the gateway, {store.stored:,} stored")
    good = outcome.good and whole
    console.print(f"[bold {'green' if good else 'red'}]{'OK' if good else 'NOT OK'}[/]: ", end="")
    plain(console, sentence(outcome) + ("" if whole else "; spans were lost"))
    return 0 if good else 1


def _say_where(stack: LocalStack, console: Console) -> None:
    for part in stack.parts.values():
        plain(console, f"{part.name:<11} {part.address}".rstrip())
    plain(
        console,
        f"The stack stays up. Stop it with Ctrl-C, or `stepwatch down --data-dir {shlex.quote(str(stack.data_dir))}`.",
    )


async def _unless_the_stack_fails(stack: LocalStack, work: Coroutine[None, None, T]) -> T:
    """Do the work; raise at once when a part of the stack cannot be kept alive."""
    doing, failing = asyncio.ensure_future(work), asyncio.ensure_future(stack.wait())
    try:
        await asyncio.wait({doing, failing}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            await failing
        return await doing
    finally:
        for task in (doing, failing):
            task.cancel()
        await asyncio.gather(doing, failing, return_exceptions=True)
