import pytest

from schemas.dead_letter import read_dead_letter, read_place
from schemas.otlp import pack
from schemas.partition import partition_of_trace
from schemas.signal import LOGS
from schemas.span import RawSpan
from streams.settings import Settings
from streams.upkeep.dead_letters import destination
from streams.worker.sink import DeadLetter, headers_of
from tests.otlp_logs import log

TRACE = bytes(range(16))
SPAN = pack([RawSpan(b"", b"", b"\n\x10" + TRACE)])
SETTINGS = Settings()


def letter(value: bytes = SPAN, **headers: str):
    return read_dead_letter(2, 7, 1, value, [(name, text.encode()) for name, text in headers.items()])


def test_what_the_scorer_writes_is_what_is_read() -> None:
    written = DeadLetter(SPAN, "not an OTLP span: x", "otlp_spans", 3, 41, "acme", 2, 5)
    found = read_dead_letter(2, 7, 1, written.value, headers_of(written))
    assert (found.place, found.origin, found.tenant, found.kind) == (
        "2/7",
        "otlp_spans/3/41",
        "acme",
        "not an OTLP span",
    )
    assert found.whole and found.reason == written.reason


def test_odd_headers_stop_nobody() -> None:
    found = read_dead_letter(0, 0, 0, b"x", [("partition", b"\xff"), ("offset", b""), ("bytes", b"?")])
    assert (found.partition, found.offset, found.tenant, found.reason) == (-1, -1, "default", "")
    assert not found.whole


def test_a_span_goes_to_the_partition_of_its_trace() -> None:
    there = destination(letter(topic="otlp_spans", partition="3"), SETTINGS, 48)
    assert there == ("otlp_spans", partition_of_trace(TRACE, 48, "sarama"), "")


def test_a_log_record_goes_to_the_partition_of_its_trace_and_is_written_as_one() -> None:
    raw = log("gen_ai.choice", trace_id=TRACE)
    written = DeadLetter(pack([raw]), "no", "otlp_spans", 3, 41, "acme", signal=LOGS)
    found = read_dead_letter(2, 7, 1, written.value, headers_of(written))
    assert found.signal == LOGS
    assert destination(found, SETTINGS, 48) == ("otlp_spans", partition_of_trace(TRACE, 48, "sarama"), "")
    assert letter().signal == "traces"


def test_garbage_goes_back_where_it_was() -> None:
    assert destination(letter(b"\xff\xff", topic="otlp_spans", partition="3"), SETTINGS, 48) == ("otlp_spans", 3, "")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"topic": "eval.alerts", "target": "on-call"}, "for a target"),
        ({"topic": ""}, "stepwatch sweep"),
        (
            {"topic": "otlp_spans", "bytes": "99999999", "partition": "1", "offset": "5"},
            "the whole was at otlp_spans/1/5",
        ),
        ({"topic": "other"}, "no topic of these settings"),
    ],
)
def test_what_cannot_be_put_back_says_why(headers: dict[str, str], why: str) -> None:
    there = destination(letter(**headers), SETTINGS, 48)
    assert there.topic == ""
    assert why in there.refusal


def test_a_place_is_partition_and_offset() -> None:
    assert read_place("3/41") == (3, 41)
    for text in ("3", "3/", "/4", "a/b", "-1/2"):
        with pytest.raises(ValueError, match="is no place on the dlq"):
            read_place(text)
