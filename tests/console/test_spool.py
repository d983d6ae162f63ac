"""Spans in, whole traces out: the same traces whether they fitted into memory or went to the disk."""

import random
import shutil

import pytest

from schemas.item import bytes_of
from schemas.span import Span
from streams import spool as spool_module
from streams.console.errors import UserError
from streams.spool import TraceSpool
from tests.builders import log_record, span, trace_id

TRACES = 40
LENGTHS = [1 + n % 7 for n in range(TRACES)]
SPANS = [span(s + 1, trace_id=trace_id(t + 1), result="x" * 100) for t in range(TRACES) for s in range(LENGTHS[t])]
SMALL = 20 * bytes_of(SPANS[0])  # a bound that 20 spans fill


def traces_of(spans, memory_bytes):
    with TraceSpool(memory_bytes) as spool:
        for one in spans:
            spool.add(one)
        found = [item for batch in spool.batches() for item in batch.items()]
        return found, spool.spilled


def shuffled(seed):
    spans = list(SPANS)
    random.Random(seed).shuffle(spans)
    return spans


def test_in_memory_traces_come_in_the_order_of_their_first_spans():
    spans = shuffled(1)
    found, spilled = traces_of(spans, 1 << 30)
    assert not spilled
    assert [trace for trace, _ in found] == list(dict.fromkeys(s.trace_id for s in spans))


@pytest.mark.parametrize("seed", range(5))
def test_a_spill_gives_the_same_traces_each_once_and_whole(seed):
    spans = shuffled(seed)
    in_memory, _ = traces_of(spans, 1 << 30)
    on_disk, spilled = traces_of(spans, SMALL)
    assert spilled
    assert len(on_disk) == len(in_memory) == TRACES
    assert dict(on_disk) == dict(in_memory)


def test_spans_of_a_trace_keep_the_order_in_which_they_came():
    spans = shuffled(3)
    for trace, held in traces_of(spans, SMALL)[0]:
        assert held == [s for s in spans if s.trace_id == trace]


def test_parts_that_are_too_large_are_parted_again(monkeypatch):
    monkeypatch.setattr(spool_module, "PARTS", 2)  # all parts are too large, down to single traces
    monkeypatch.setattr(spool_module, "BATCH_SPANS", 1)
    with TraceSpool(SMALL // 4) as spool:
        for one in SPANS:
            spool.add(one)
        held = [sum(map(len, batch.values())) for batch in spool.batches()]
    assert sum(held) == len(SPANS) and max(held) <= max(LENGTHS)


def test_of_a_trace_over_its_cap_no_more_is_kept_than_shows_it(monkeypatch):
    monkeypatch.setattr(spool_module, "CAP", 10)
    many = [span(n + 1) for n in range(1000)]
    ((_, held),) = traces_of(many, 1 << 30)[0]
    assert len({s.span_id for s in held}) > 10
    assert len(held) <= 20


@pytest.mark.parametrize("memory_bytes", [1 << 30, SMALL])
def test_log_records_come_with_their_trace_and_stay_log_records(memory_bytes):
    logs = [log_record(1, trace_id=trace_id(t + 1), result=f"{t}") for t in range(TRACES)]
    found = dict(traces_of([*logs, *SPANS], memory_bytes)[0])
    for t in range(TRACES):
        first, *spans = found[trace_id(t + 1)]
        assert type(first) is type(logs[t]) and first == logs[t]
        assert len(spans) == LENGTHS[t]


def test_over_the_cap_log_records_push_no_span_out(monkeypatch):
    monkeypatch.setattr(spool_module, "CAP", 10)
    many = [log_record(1, at_ms=n) for n in range(1000)]
    ((_, held),) = traces_of([*many, *(span(n + 1) for n in range(5))], 1 << 30)[0]
    assert sum(isinstance(item, Span) for item in held) == 5
    assert 10 < len(held) <= 50


def test_a_span_that_is_sent_again_and_again_does_not_put_its_trace_over_the_cap(monkeypatch):
    monkeypatch.setattr(spool_module, "CAP", 10)
    ((_, held),) = traces_of([span(n % 4 + 1) for n in range(1000)], 1 << 30)[0]
    assert {s.span_id for s in held} == {s.span_id for s in (span(n + 1) for n in range(4))}
    assert len(held) <= 20


def test_the_temporary_folder_is_gone_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with TraceSpool(SMALL) as spool:
        for one in SPANS:
            spool.add(one)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_where_spans_cannot_be_put_aside_the_cure_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "not there"))
    with TraceSpool(0) as spool, pytest.raises(UserError, match="set TMPDIR"):
        spool.add(SPANS[0])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with TraceSpool(0) as spool:
        spool.add(SPANS[0])
        shutil.rmtree(next(tmp_path.iterdir()))
        with pytest.raises(UserError, match="set TMPDIR"):
            list(spool.batches())
