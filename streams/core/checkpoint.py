"""The alert fold of one partition as bytes, and back.

Versioned and bounded (the board caps its series). A version reads its own checkpoints and those of the version before
it (`checkpoint_upgrade`); anything else is foreign, and the log is folded from its start (decision 0010). It carries
the text of the rules its detectors ran under, since the config log is compacted, and the offset to go on from. The
filter of seen traces is not in it: whoever restores reads the log from `seen.since` and calls `remember` up to
`next_offset`. The law: then the fold goes on as if it had never stopped.
"""

import zlib
from dataclasses import astuple
from typing import Any

import orjson

from schemas.config import ConfigError
from schemas.rule import Rule
from schemas.rules import parse_rules
from streams.core.alerting import Alerting
from streams.core.checkpoint_upgrade import upgraded
from streams.core.rungs import Rung
from streams.core.seen import SeenTraces, Since
from streams.core.series import Bucket, Series
from streams.core.telling import Episode

VERSION = 2
_BYTES_MAX = 256 << 20  # of the inflated text: ten thousand series are about 20 MB


class ForeignCheckpoint(ValueError):
    """Bytes that this version cannot go on from; the sentence says why. The log has to be folded from its start."""


def snapshot(alerting: Alerting) -> bytes:
    """The state after the last record that was handled."""
    state = {
        "v": VERSION,
        "partition": alerting.partition,
        "next_offset": alerting.next_offset,
        "clock_ms": alerting.clock_ms,
        "heartbeat_ms": alerting.heartbeat_ms,
        "ticked_ms": alerting.ticked_ms,
        "well_ms": alerting.well_ms,
        "bucket_end_ms": alerting.bucket_end_ms,
        "repeated": alerting.repeated,
        "rules_seq": alerting.rules_seq,
        "rules_text": alerting.board.rules.text,
        "seen_since": alerting.seen.since,
        "series": [_pack(s) for s in alerting.board.series.values()],
        "dirty": list(alerting.dirty),
        "forgetting": list(alerting.forgetting.items()),
        "dropped": list(alerting.board.dropped.items()),
        "refused": list(alerting.board.refused.items()),
    }
    return zlib.compress(orjson.dumps(state, default=tuple), level=1)  # orjson knows no named tuples


def restore(data: bytes) -> Alerting:
    """The fold at `next_offset`, but for its filter of seen traces. Raises ForeignCheckpoint."""
    state = _read(data)
    try:
        rules = parse_rules(state["rules_text"], "the rules of the checkpoint")
    except ConfigError as error:
        raise ForeignCheckpoint(f"the checkpoint's rules cannot be read any more: {error}") from error
    alerting = Alerting(state["partition"], rules, state["rules_seq"])
    for name in ("next_offset", "clock_ms", "heartbeat_ms", "ticked_ms", "well_ms", "bucket_end_ms", "repeated"):
        setattr(alerting, name, state[name])
    alerting.seen = SeenTraces(Since(*state["seen_since"]))
    by_uid = rules.by_uid()
    for packed in state["series"]:
        alerting.board.put(_unpack(packed, by_uid[packed[0]]))
    by_key = {series.key: series for series in alerting.board.series.values()}
    alerting.dirty = {key: by_key[key] for key in state["dirty"]}
    alerting.forgetting = dict(state["forgetting"])
    alerting.board.dropped.update({tuple(group): count for group, count in state["dropped"]})
    alerting.board.refused.update({tuple(group): count for group, count in state["refused"]})
    return alerting


def _read(data: bytes) -> dict[str, Any]:
    try:
        inflate = zlib.decompressobj()
        state: Any = orjson.loads(inflate.decompress(data, _BYTES_MAX))
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise ForeignCheckpoint(f"the checkpoint cannot be read: {error}") from error
    fields: dict[str, Any] = state if isinstance(state, dict) else {}
    version = fields.get("v")
    if version == VERSION - 1:
        return upgraded(fields)
    if version != VERSION:
        raise ForeignCheckpoint(
            f"the checkpoint has version {version}; this Stepwatch reads {VERSION - 1} and {VERSION}"
        )
    return fields


def _pack(s: Series) -> list[Any]:
    return [
        s.rule.uid,
        s.tenant,
        s.workflow,
        s.labels,
        s.last_ms,
        s.heard_ms,
        s.step_kind,
        s.evaluator_version,
        s.gauge.state(),
        [astuple(rung) for rung in s.rungs.rungs],
        s.exemplars.state(),
        astuple(s.bucket),
        astuple(s.episode) if s.episode else None,
    ]


def _unpack(packed: list[Any], rule: Rule) -> Series:
    _, tenant, workflow, labels, last_ms, heard_ms, step_kind, evaluator_version, *rest = packed
    gauge, rungs, exemplars, bucket, episode = rest
    series = Series(rule, tenant, workflow, tuple((name, value) for name, value in labels), last_ms, heard_ms)
    series.step_kind, series.evaluator_version = step_kind, evaluator_version
    series.gauge.load(gauge)
    series.rungs.rungs = [Rung(*rung) for rung in rungs]
    series.exemplars.load(exemplars)
    series.bucket = Bucket(*bucket)
    series.episode = Episode(*episode) if episode else None
    return series
