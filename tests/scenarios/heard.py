"""What came of it: the alert events as published, the outcome log, and what an alerter that nobody disturbs says of that log.

The undisturbed alerter is the pure fold over the whole log, from its start: no checkpoint, no restart, no second one.
"""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson

from schemas.alert import AlertEvent, Heartbeat, Pipeline, read_time
from schemas.cloud_event import from_cloud_event, to_cloud_event
from schemas.outcome import OutcomeRecord, Tick, decode
from schemas.rules import parse_rules
from streams.core.alerting import Alerting
from streams.settings import Settings
from tests.documents import check_event
from tests.integration.pipeline import records_of


class Heard(NamedTuple):
    """One record of `eval.alerts`."""

    source: str  # of the CloudEvent, as its id
    id: str
    event: AlertEvent | Heartbeat
    body: dict[str, Any]
    emitted_ms: int

    @property
    def identity(self) -> tuple[str, str]:
        return self.source, self.id


class Logged(NamedTuple):
    """One record of `eval.outcomes`."""

    partition: int
    offset: int
    append_ms: int
    record: OutcomeRecord | Tick


async def events(settings: Settings) -> list[Heard]:
    """All that is on `eval.alerts`, repetitions too, in the order of each key."""
    found = []
    for record in await records_of(settings, settings.alerts_topic):
        headers, body = dict(record.headers), orjson.loads(record.value)
        check_event(record.headers, record.value)
        event = from_cloud_event(record.headers, record.value)
        emitted_ms = read_time(body["pipeline"]["emitted_at"])
        found.append(Heard(headers["ce_source"].decode(), headers["ce_id"].decode(), event, body, emitted_ms))
    return found


def once(heard: Iterable[Heard]) -> list[Heard]:
    """De-duplicated as the contract says: by source and id, the first counts."""
    found: dict[tuple[str, str], Heard] = {}
    for h in heard:
        found.setdefault(h.identity, h)
    return list(found.values())


async def outcome_log(settings: Settings) -> list[Logged]:
    """All of the outcome log that can be read, by partition and offset."""
    found = []
    for record in await records_of(settings, settings.outcomes_topic):
        try:
            found.append(Logged(record.partition, record.offset, record.timestamp, decode(record.value)))
        except ValueError:
            continue  # the alerter buries it
    return found


async def undisturbed(settings: Settings, log: Iterable[Logged]) -> list[Heard]:
    """What one alerter that nothing happens to publishes over this log."""
    rules = [
        (record.offset + 1, parse_rules(json.loads(record.value)["rules"], "rules.yaml"))
        for record in await records_of(settings, settings.config_topic)
    ]
    folds: dict[int, Alerting] = {}
    found = []
    for partition, offset, append_ms, record in log:
        if partition not in folds:
            folds[partition] = Alerting(partition)
            for seq, ruleset in rules:
                folds[partition].learn(seq, ruleset)
        emitted = folds[partition].handle(record, append_ms, offset)
        found += [_as_published(event) for event in emitted if isinstance(event, AlertEvent | Heartbeat)]
    return found


def _as_published(event: AlertEvent | Heartbeat) -> Heard:
    published = to_cloud_event(event, Pipeline(event.time_ms, ""))
    headers = dict(published.headers)
    body = orjson.loads(published.value)
    return Heard(headers["ce_source"].decode(), headers["ce_id"].decode(), event, body, event.time_ms)


def by_key(heard: Iterable[Heard]) -> dict[str, list[Heard]]:
    """The events of each alert, heartbeats of each partition, in their order: order holds per key alone."""
    found: dict[str, list[Heard]] = {}
    for h in heard:
        key = h.event.alert_key if isinstance(h.event, AlertEvent) else f"heartbeat:{h.event.partition}"
        found.setdefault(key, []).append(h)
    return found
