"""OTLP files as records: what `stepwatch send` and `stepwatch score` read. Streams its input; memory is bounded by a record.

Three shapes, told apart by their beginning: JSON lines (one document a line, as the Collector's file exporter writes them), JSON
that goes over several lines (`streams.json_pieces`), and protobuf, either one export request or length-delimited (4 bytes
big-endian before each, the exporter's `format: proto`). What the JSON is, OTLP, Jaeger's or Tempo's, its reader sees. `.gz` is
unpacked.
"""

import gzip
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from schemas.otlp import InvalidOtlp
from schemas.otlp_json import load
from schemas.topic_record import is_json
from streams.console.errors import UserError
from streams.json_pieces import pieces

RECORD_BYTES_MAX = 64 << 20
HEAD_BYTES = 4096


def exports_of(path: Path, at: Callable[[int], object] = lambda position: None) -> Iterator[tuple[int, bytes]]:
    """(line or record number from 1, OTLP document) of a file. Raises UserError naming file, place and cure.

    `at` is told, after each, how many bytes of the file were read: of a `.gz` as it lies on the disk.
    """
    try:
        with path.open("rb") as stored:
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=stored)) if path.suffix == ".gz" else stored
            head = file.read(HEAD_BYTES)
            file.seek(0)
            for export in _json(file, path) if is_json(head) else _messages(file, path):
                yield export
                at(stored.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error


def _json(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """Documents by line where the first one is whole on its line, else in pieces."""
    first = file.readline(RECORD_BYTES_MAX + 1)
    while first and not first.strip():
        first = file.readline(RECORD_BYTES_MAX + 1)
    file.seek(0)
    goes_on = len(first) > RECORD_BYTES_MAX or (first.rstrip()[-1:] in b"{[,:" and not _is_json(first))
    return pieces(file, path) if goes_on else _lines(file, path)


def _is_json(line: bytes) -> bool:
    try:
        load(line)
    except InvalidOtlp:
        return False
    return True


def _lines(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(RECORD_BYTES_MAX + 1):
        number += 1
        if len(line) > RECORD_BYTES_MAX:
            raise UserError(f"{path}:{number}: a line over {RECORD_BYTES_MAX >> 20} MiB; write one export a line")
        if line.strip():
            yield number, line


def _messages(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    head = file.read(4)
    if len(head) < 4:
        return
    size = struct.unpack(">I", head)[0]
    if head[0] != 0:  # a protobuf message begins with a tag: the file is one export request
        body = head + file.read(RECORD_BYTES_MAX)
        if file.read(1):
            raise UserError(f"{path}: one export over {RECORD_BYTES_MAX >> 20} MiB; split it")
        yield 1, body
        return
    number = 0
    while True:
        number += 1
        body = file.read(size)
        if len(body) < size or size > RECORD_BYTES_MAX:
            raise UserError(f"{path}: record {number} of {size} bytes is cut short; was the file still being written?")
        yield number, body
        head = file.read(4)
        if not head:
            return
        if len(head) < 4:
            raise UserError(f"{path}: the file ends inside the length of record {number + 1}")
        size = struct.unpack(">I", head)[0]
