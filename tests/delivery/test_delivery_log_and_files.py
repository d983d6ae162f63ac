"""The words of the delivery log, and events in files."""

import json
from pathlib import Path

import pytest

from schemas.alert import Pipeline
from streams.delivery.entry import Entry, nothing_known, read_entry
from streams.delivery.file import append
from streams.delivery.sample import sample
from streams.delivery.verdict import OK
from tests.delivery.events import FIRING, RESOLVED

DELIVERED = Entry("delivered", "pager", "a" * 32, 5, 2, 1_000, attempts=3)
PIPELINE = Pipeline(0, "0.1.0")


def test_an_entry_comes_back_as_it_was_and_unknown_fields_are_ignored() -> None:
    _, value = DELIVERED.record()
    assert read_entry(value) == DELIVERED
    assert read_entry(json.dumps({**json.loads(value), "later": 1}).encode()) == DELIVERED


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}", b'{"word": "delivered"}'])
def test_what_is_no_entry_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match="not an entry"):
        read_entry(value)


def test_the_newest_word_on_an_alert_replaces_the_older_but_what_is_tried_hides_nothing() -> None:
    assert DELIVERED.record()[0] == DELIVERED._replace(seq=3, word="dead").record()[0]
    assert DELIVERED.record()[0] != DELIVERED._replace(word="trying").record()[0]
    assert DELIVERED.record()[0] != DELIVERED._replace(target="other").record()[0]


def test_a_word_of_an_owner_of_the_past_takes_nothing_back() -> None:
    known = nothing_known()
    for entry in (DELIVERED._replace(seq=4), DELIVERED, DELIVERED._replace(seq=5, word="dead")):
        known.learn(entry)
    assert known.settled == {DELIVERED.alert_key: (5, 5)}
    assert known.delivered == {DELIVERED.alert_key: (5, 4)}


def test_since_when_an_event_is_tried_outlasts_a_restart() -> None:
    known = nothing_known()
    known.learn(DELIVERED._replace(word="trying", at_ms=7_000))
    assert known.since_s(DELIVERED.alert_key, (5, 2)) == 7.0
    assert known.since_s(DELIVERED.alert_key, (5, 3)) is None
    assert known.settled == {}


def test_a_copy_does_not_learn() -> None:
    known = nothing_known()
    copy = known.copy()
    known.learn(DELIVERED)
    assert copy == nothing_known()


@pytest.mark.parametrize("event", [FIRING, RESOLVED])
def test_only_what_was_delivered_is_had(event) -> None:
    known = nothing_known()
    known.learn(Entry("dead", "t", event.alert_key, event.episode, event.seq, 0))
    assert not known.has(event)
    known.learn(Entry("delivered", "t", event.alert_key, event.episode, event.seq, 0))
    assert known.has(event)


async def test_lines_are_whole_even_after_one_that_a_crash_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b'{"cut')
    assert await append(str(file), b'{"n":1}\n') == OK
    assert await append(str(file), b'{"n":2}\n{"n":3}\n') == OK
    assert file.read_bytes() == b'{"cut\n{"n":1}\n{"n":2}\n{"n":3}\n'


async def test_a_file_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    answer = await append(str(tmp_path / "no folder" / "alerts.jsonl"), b"{}\n")
    assert (answer.failure, answer.detail) == ("storage", "No such file or directory")


def test_a_sample_is_an_alert_and_its_end() -> None:
    firing, resolved = sample(1_760_000_000_000, "0.1.0")
    assert firing.alert_key == resolved.alert_key
    assert firing.place < resolved.place
    assert (firing.event.status, resolved.event.status) == ("firing", "resolved")
    assert json.loads(firing.document())["data"]["labels"]["workflow"] == "stepwatch-test"
