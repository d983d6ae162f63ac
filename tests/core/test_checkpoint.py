"""Checkpoints: what was written by the version before goes on; anything else is refused in a sentence."""

import zlib
from pathlib import Path

import orjson
import pytest

from streams.core.alerting import Alerting
from streams.core.checkpoint import VERSION, ForeignCheckpoint, restore, snapshot
from tests.outcomes import alerts, new_fold, run, timeline

BEFORE = Path(__file__).parent / "data" / "checkpoint-v1.bin"  # written by version 1 at the end of BROKEN
BROKEN = timeline((100, 0), (30, 1))
REPAIRED = timeline((100, 0), (30, 1), (300, 0))[len(BROKEN) :]


def rewritten(**changes: object) -> bytes:
    fold = new_fold()
    run(fold, BROKEN)
    state = orjson.loads(zlib.decompress(snapshot(fold)))
    return zlib.compress(orjson.dumps({**state, **changes}))


def continued(fold: Alerting) -> list[tuple[str, str]]:
    return [(e.id, e.reason) for e in alerts(run(fold, REPAIRED, len(BROKEN)))]


def test_a_checkpoint_of_the_version_before_goes_on_to_the_same_events() -> None:
    fold = new_fold()
    run(fold, BROKEN)
    restored = restore(BEFORE.read_bytes())
    assert restored.next_offset == fold.next_offset
    assert [s.key for s in restored.firing()] == [s.key for s in fold.firing()]
    assert continued(restored) == continued(fold) != []


def test_a_checkpoint_is_its_own_inverse() -> None:
    fold = restore(rewritten())
    assert snapshot(restore(snapshot(fold))) == snapshot(fold)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "cannot be read"),
        (b"no checkpoint", "cannot be read"),
        (zlib.compress(b"[]"), "has version None"),
        (rewritten(v=VERSION - 2), f"has version {VERSION - 2}; this Stepwatch reads {VERSION - 1} and {VERSION}"),
        (rewritten(v=VERSION + 1), f"has version {VERSION + 1}"),
        (rewritten(rules_text="rules: [{uid: 7}]"), "rules cannot be read any more"),
    ],
)
def test_what_is_no_checkpoint_of_ours_is_foreign_with_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(ForeignCheckpoint, match=sentence):
        restore(data)
