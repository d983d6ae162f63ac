"""Exports of Jaeger and Tempo, and JSON over many lines: read as the OTLP that they were, by every command, in bounded memory."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from schemas.topic_record import split_record
from streams import json_pieces
from streams.console.errors import UserError
from streams.otlp_files import exports_of
from tests.schemas.jaeger import Parts, as_jaeger, as_tempo, span_of

DEMO = Path(__file__).parents[2] / "infra/examples/demo-traces.jsonl"


def demo() -> list[Parts]:
    return [span_of(raw) for line in DEMO.read_bytes().splitlines()[:12] for raw in split_record(line)[0]]


def told(path: Path) -> list[tuple[Any, ...]]:
    """What is read of a file: times to the microsecond, for Jaeger keeps no more, and lists as Jaeger writes them."""
    return sorted(
        _told(part) for _, document in exports_of(path) for raw in split_record(document)[0] for part in [span_of(raw)]
    )


def _told(part: Parts) -> tuple[Any, ...]:
    resource, scope, span = part
    service = {a.key: a.value.string_value for a in resource.attributes}
    values = {a.key: str(a.value) for a in span.attributes if a.value.WhichOneof("value") != "array_value"}
    lists = {a.key for a in span.attributes if a.key not in values or a.value.string_value[:1] == "["}
    plain = {key: value for key, value in values.items() if key not in lists}
    start_us, seconds = (
        span.start_time_unix_nano // 1000,
        (span.end_time_unix_nano - span.start_time_unix_nano) // 10**9,
    )
    return (span.trace_id, span.span_id, span.parent_span_id, span.name, span.kind, start_us, seconds,
            span.status.code, sorted(service.items()), scope.name, sorted(plain.items()))  # fmt: skip


def texts(parts: list[Parts]) -> Iterator[tuple[str, str]]:
    jaeger, tempo = as_jaeger(parts), as_tempo(parts)
    yield "jaeger", json.dumps(jaeger)
    yield "jaeger, printed", json.dumps(jaeger, indent=2)
    yield "jaeger, one trace a line", "\n".join(json.dumps({"data": [t]}) for t in jaeger["data"])
    yield "jaeger, printed one after the other", "\n".join(json.dumps({"data": [t]}, indent=1) for t in jaeger["data"])
    yield "a trace of jaeger", "\n".join(json.dumps(t) for t in jaeger["data"])
    yield "tempo", json.dumps(tempo)
    yield "tempo, printed", json.dumps(tempo, indent=4)
    yield "tempo v2", json.dumps({"trace": {"resourceSpans": tempo["batches"]}, "metrics": {}}, indent=2)
    yield "jaeger v3", json.dumps({"result": {"resourceSpans": tempo["batches"]}}, indent=2)
    yield "a list", json.dumps([{"resourceSpans": [frame]} for frame in tempo["batches"]], indent=2)


@pytest.mark.parametrize("name", [name for name, _ in texts(demo()[:1])])
@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_it_is_the_same_run(name: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "CHUNK_BYTES", chunk)
    parts = demo() if chunk > 7 else demo()[:20]
    wanted = sorted(map(_told, parts))
    file = tmp_path / "export.json.gz"
    file.write_bytes(gzip.compress(dict(texts(parts))[name].encode()))
    assert told(file) == wanted


def test_a_piece_is_named_by_its_line_and_what_is_cut_short_is_said(tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    text = json.dumps(as_jaeger(demo()), indent=2)
    file.write_text(text)
    lines = [line for line, _ in exports_of(file)]
    assert lines == sorted(lines) and lines[0] == 3
    file.write_text(text[: len(text) // 2])
    with pytest.raises(UserError, match="cut short"):
        list(exports_of(file))
    file.write_text("{\n" + '"a": 1}\n')
    assert [document for _, document in exports_of(file)] == [b'{\n"a": 1}'], "its reader says that it is no export"
    file.write_text("{\n]}\n}")
    with pytest.raises(UserError, match="a bracket too many"):
        list(exports_of(file))


def test_memory_is_bounded_by_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_pieces, "CHUNK_BYTES", 64 << 10)
    piece = json.dumps(as_jaeger(demo()[:8])["data"][0], indent=1)

    def text(n: int) -> Iterable[str]:
        yield '{\n"data": [\n'
        yield ",\n".join([piece] * n)
        yield "]}\n"

    file = tmp_path / "export.json"
    file.write_text("".join(text(400)))
    assert file.stat().st_size > 2 << 20
    tracemalloc.start()
    n = sum(1 for _ in exports_of(file))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (n, peak < 1 << 20) == (400, True)
