"""`stepwatch deliver` on a real broker against bad endpoints: others unaffected, nothing lost, nothing doubled.

"Doubled" as the contract has it: a kill may repeat the requests that were open, and nothing else is ever sent twice.
"""

import asyncio
import os
import signal
import sys
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from streams.delivery.attempts import IN_FLIGHT_MAX
from streams.delivery.webhook import read_key, sign
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.delivery import servers
from tests.delivery.events import FIRING, RESOLVED, message
from tests.delivery.servers import Behaviour, Server, serving
from tests.integration.conftest import NewStack
from tests.integration.delivering import (
    SECRET,
    dead_letters,
    delivering,
    ends,
    in_order,
    offsets,
    publish,
    stories,
    targets_file,
    until,
    webhook,
)

GOOD = servers.answers(servers.OK)
# What each endpoint does, and whether it takes every event in the end.
ENDPOINTS: dict[str, tuple[Behaviour, bool]] = {
    "good": (GOOD, True),
    "hangs": (servers.hangs, False),
    "breaks": (servers.first(3, servers.status(500), GOOD), True),
    "busy": (servers.first(2, servers.status(429, "Retry-After: 1\r\n"), GOOD), True),
    "redirects": (servers.redirects("http://169.254.169.254/latest/meta-data"), False),
    "streams": (servers.streams(200), True),
    "fails-at-length": (servers.first(2, servers.streams(500), GOOD), True),
}


async def test_bad_endpoints_delay_no_other_and_each_event_ends_delivered_or_as_a_dead_letter(
    own_topics: Settings, tmp_path: Path
) -> None:
    settings = own_topics
    messages = stories(8)
    ids = [m.event.id for m in messages]
    quick = {"timeout": "500ms", "rate_per_s": "200", "retry": "{first: 100ms, most: 500ms, give_up_after: 6s}"}
    async with AsyncExitStack() as running:
        at: dict[str, Server] = {}
        for name, (behaviour, _) in ENDPOINTS.items():
            at[name] = await running.enter_async_context(serving(behaviour))
        names = [*at, "metadata", "archive"]
        targets = [webhook(name, server.port, **quick) for name, server in at.items()]
        inner = '{url: "http://169.254.169.254/", secrets: ["${ENV:SIGNING}"]}'
        targets.append(f"  - {{name: metadata, webhook: {inner}, allow: {{http: true}}, retry: {quick['retry']}}}")
        targets.append(f'  - {{name: archive, file: {{path: "{tmp_path}/archive.jsonl"}}}}')
        file = targets_file(tmp_path, targets, names)
        deliverer = await running.enter_async_context(delivering(settings, file, names))

        await publish(settings, messages, times=2)  # the alerter may publish again
        await until("delivered to the good one", lambda: len(at["good"].ids) >= len(ids), 20)
        assert len((await dead_letters(settings))["hangs"]) < len(ids)  # which is still being tried
        taking = [name for name, (_, takes) in ENDPOINTS.items() if takes]
        for name in taking:
            await until(f"delivered to {name}", lambda name=name: set(at[name].ids) == set(ids))

        async def all_settled() -> bool:
            end = await ends(settings)
            return all([await offsets(settings, name) == end for name in names])

        await until("committed to the end", all_settled)
        dead = await dead_letters(settings)
        assert await deliverer.end(signal.SIGTERM) == 0

    assert {name: len(letters) for name, letters in dead.items()} == dict.fromkeys(
        ["hangs", "redirects", "metadata"], len(ids)
    )
    for letters in dead.values():
        assert {i for i, _ in letters} == set(ids)
    assert all("address refused" in reason for _, reason in dead["metadata"])
    assert all("302" in reason for _, reason in dead["redirects"])
    for name in ("good", "streams"):
        assert Counter(at[name].ids) == Counter(ids), name  # each once: published twice, delivered once
        assert in_order(at[name].ids, messages)
    failed = {"breaks": 3, "busy": 2, "fails-at-length": 2}
    for name, n in failed.items():
        assert len(at[name].ids) == len(ids) + n, name
        assert in_order(at[name].ids[n:], messages)
    archived = (tmp_path / "archive.jsonl").read_text().splitlines()
    assert len(archived) == len(ids)
    _, headers, body = at["good"].asked[0]
    assert headers["webhook-signature"].startswith("v1,")
    assert SECRET not in deliverer.said
    assert body["specversion"] == "1.0"


async def test_killed_in_the_middle_nothing_is_lost_and_only_what_was_open_comes_again(
    own_topics: Settings, tmp_path: Path
) -> None:
    settings = own_topics
    messages = stories(40)
    ids = {m.event.id for m in messages}
    kills, stops, bad = 3, 2, 4
    async with serving(servers.first(bad, servers.status(500), GOOD)) as server:
        target = webhook("one", server.port, rate_per_s="10", retry="{first: 100ms, most: 200ms}")
        file = targets_file(tmp_path, [target], ["one"])
        async with delivering(settings, file, ["one"]) as deliverer:
            await publish(settings, messages)
            for how in [signal.SIGKILL, signal.SIGTERM] * stops + [signal.SIGKILL] * (kills - stops):
                heard = len(server.asked)
                await until("some more delivered", lambda heard=heard: len(server.asked) >= heard + 12)
                await deliverer.end(how)
                await deliverer.start()
            await until("all delivered", lambda: set(server.ids[bad:]) >= ids)

            async def settled() -> bool:
                return await offsets(settings, "one") == await ends(settings)

            await until("committed to the end", settled)
            await publish(settings, messages)  # the alerter again, much later
            await until("read to the end", settled)
            assert await deliverer.end(signal.SIGTERM) == 0
    taken = Counter(server.ids[bad:])
    assert set(taken) == ids
    assert sum(n - 1 for n in taken.values()) <= kills * IN_FLIGHT_MAX
    assert in_order(server.ids, messages)
    assert not (await dead_letters(settings))


async def test_alertmanager_is_told_again_after_a_restart_of_what_fires(own_topics: Settings, tmp_path: Path) -> None:
    settings = own_topics
    firing, other = message(FIRING, alert_key="a" * 32), message(FIRING, alert_key="b" * 32)
    late = FIRING.time_ms + 10**12  # nothing of this expires
    firing, other = (message(m.event, expires_ms=late) for m in (firing, other))
    resolved = message(RESOLVED, alert_key="b" * 32, resolved_ms=FIRING.time_ms)
    async with serving(servers.status(200)) as server:
        target = (
            f'  - {{name: am, alertmanager: {{url: "http://127.0.0.1:{server.port}"}}, '
            f"allow: {{http: true, ports: [{server.port}], networks: [127.0.0.1/32]}}}}"
        )
        file = targets_file(tmp_path, [target], ["am"])
        async with delivering(settings, file, ["am"]) as deliverer:
            await publish(settings, [firing, other, resolved])
            await until("told of all", lambda: len(server.asked) == 3)
            assert await deliverer.end(signal.SIGTERM) == 0
            await deliverer.start()
            await until("told again", lambda: len(server.asked) == 4)
            assert await deliverer.end(signal.SIGTERM) == 0
    path, _, alerts = server.asked[-1]
    assert path == "/api/v2/alerts"
    assert [alert["annotations"]["alert_key"] for alert in alerts] == ["a" * 32]  # the other is resolved for long


@pytest.mark.parametrize("kind", ["a webhook", "a file"])
async def test_a_target_is_tried_out_without_kafka(tmp_path: Path, kind: str) -> None:
    async with serving(GOOD) as server:
        archive = f'  - {{name: x, file: {{path: "{tmp_path}/x.jsonl"}}}}'
        file = targets_file(tmp_path, [webhook("x", server.port) if kind == "a webhook" else archive], ["x"])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "streams.console", "deliver", "test", "x", "--targets", str(file)),
            env={**os.environ, "SIGNING": SECRET},
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0
    assert said.decode().splitlines() == ["x: firing delivered", "x: resolved delivered"]
    if kind == "a webhook":
        assert len(set(server.ids)) == 2
        assert server.asked[0][1]["webhook-signature"].startswith("v1,")
        assert sign(read_key(SECRET), "", 0, b"") not in server.asked[0][1]["webhook-signature"]
    else:
        assert len((tmp_path / "x.jsonl").read_text().splitlines()) == 2


async def test_while_kafka_is_away_nothing_is_lost_and_it_goes_on_when_it_is_back(
    new_stack: NewStack, tmp_path: Path
) -> None:
    stack = await new_stack(parts=("broker",))
    await ensure_topics(settings := stack.settings)
    messages = stories(10)
    ids = [m.event.id for m in messages]
    async with serving(GOOD) as server:
        file = targets_file(tmp_path, [webhook("one", server.port, rate_per_s="5")], ["one"])
        async with delivering(settings, file, ["one"]) as deliverer:
            await publish(settings, messages[:15])
            await until("some delivered", lambda: len(server.asked) >= 3)
            stack.kill("broker")
            await until("away", lambda: stack.parts["broker"].state == "restarting")
            await until("back", lambda: stack.parts["broker"].state == "ready")
            await publish(settings, messages[15:])
            await until("all delivered", lambda: set(server.ids) >= set(ids))

            async def settled() -> bool:
                return await offsets(settings, "one") == await ends(settings)

            await until("committed to the end", settled)
            assert await deliverer.end(signal.SIGTERM) == 0
    assert Counter(server.ids) == Counter(ids)
    assert in_order(server.ids, messages)
