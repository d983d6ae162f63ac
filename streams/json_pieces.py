"""One JSON document over many lines, or larger than a line may be, read in pieces: each trace or resource in it is a document.

What exporters and people leave behind is often one value for all traces: Jaeger's and Tempo's answers, or anything that went
through a pretty printer. A piece is an element of the array that holds traces or resources (at the top, or under the key that
says so), in a frame of its own. Memory is bounded by the largest piece.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from streams.console.errors import UserError

CHUNK_BYTES = 1 << 20
PIECE_BYTES_MAX = 64 << 20
# Keys of such arrays, and the frame in which each of their elements is a document.
_ARRAYS = {
    b'"data"': b'{"data":[%b]}',  # Jaeger
    b'"batches"': b'{"resourceSpans":[%b]}',  # Tempo
    b'"resourceSpans"': b'{"resourceSpans":[%b]}',
    b'"resource_spans"': b'{"resourceSpans":[%b]}',
    b'"resourceLogs"': b'{"resourceLogs":[%b]}',
    b"": b"%b",  # the document is the array
}
_DEEPEST = 3  # levels at which such an array is looked for: {"trace": {"resourceSpans": [
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("|\\?\Z)|[\[\]{}:]', re.DOTALL)


class _Reader:
    """The scanner's state: where it is in the document, and what of it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.held = b""  # from the start of the piece or document that is being read
        self._at = 0  # up to where it was looked through
        self._depth = 0
        self._string = self._key = b""
        self._array = -1  # the level of the array whose elements are pieces; -1: outside of any
        self._frame = b"%b"
        self._start = 0  # of the piece, in `held`
        self._begin = 0  # of the document
        self._line = 1  # on which `held` begins
        self._found = False  # whether this document had a piece

    def feed(self, chunk: bytes) -> Iterator[tuple[int, bytes]]:
        """The pieces that end within this chunk, each with the line on which it begins."""
        self.held += chunk
        for token in _TOKEN.finditer(self.held, self._at):
            mark = token[0]
            if mark[:1] == b'"':
                if token[1] != b'"':
                    break  # a text that goes on in the next chunk
                self._string = mark
            elif mark == b":":
                self._key = self._string
            elif mark in (b"{", b"["):
                self._open(mark, token.start())
            else:
                yield from self._close(token.end())
            self._at = token.end()
        self._drop()

    def _open(self, mark: bytes, at: int) -> None:
        if self._array == self._depth:
            self._start = at
        elif mark == b"[" and self._array < 0 and self._depth < _DEEPEST:
            key = self._key if self._depth else b""
            if key in _ARRAYS:
                self._array, self._frame = self._depth + 1, _ARRAYS[key]
        self._depth += 1

    def _close(self, at: int) -> Iterator[tuple[int, bytes]]:
        self._depth -= 1
        if self._depth < 0:
            raise UserError(f"{self._path}:{self._line_at(at)}: not JSON: a bracket too many")
        if self._array == self._depth:
            self._found = True
            yield self._line_at(self._start), self._frame % self.held[self._start : at]
        elif self._array > self._depth:
            self._array = -1
        if self._depth == 0:
            if not self._found:  # no traces that we know: its reader says what it is
                yield self._line_at(self._begin), self.held[self._begin : at].strip()
            self._found, self._key, self._begin = False, b"", at

    def _drop(self) -> None:
        """Forget what no piece needs any more."""
        if self._array >= 0:
            self._cut(self._start if self._depth > self._array else self._at)
        elif self._depth == 0:
            self._cut(self._begin)
        if len(self.held) > PIECE_BYTES_MAX:
            raise UserError(
                f"{self._path}:{self._line}: a trace or resource over {PIECE_BYTES_MAX >> 20} MiB; write one export a line"
            )

    def _cut(self, at: int) -> None:
        self._line += self.held.count(b"\n", 0, at)
        self.held = self.held[at:]
        self._at = max(0, self._at - at)
        self._start, self._begin = max(0, self._start - at), max(0, self._begin - at)

    def _line_at(self, at: int) -> int:
        return self._line + self.held.count(b"\n", 0, at)

    def end(self) -> None:
        """Raises UserError when the document is not whole."""
        if self._depth or self.held.strip():
            raise UserError(f"{self._path}: the JSON is cut short; was the file still being written?")


def pieces(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """(line on which it begins, document) of every piece. Raises UserError."""
    reader = _Reader(path)
    while chunk := file.read(CHUNK_BYTES):
        yield from reader.feed(chunk)
    reader.end()
