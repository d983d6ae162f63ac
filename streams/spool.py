"""Spans and log records in, whole traces out, in bounded memory: what reading recorded traces offline rests on.

The items of a trace may lie anywhere in the input. What fits is kept in memory, and traces come out in the order of their
first spans. What does not fit goes to a temporary folder, parted by a hash of the trace id, and comes out part by part.
The law: every trace comes out once and whole, its spans in the order in which they came, whichever way they went.
Memory is bounded by `memory_bytes` and by the largest trace, of which no more is kept than makes it over its cap.
"""

import marshal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Self

from xxhash import xxh3_64_intdigest

from schemas.item import Item, bytes_of
from schemas.log_record import LogRecord
from schemas.span import Span
from streams.console.errors import UserError
from streams.core.engine import EnginePolicy

MEMORY_BYTES = 256 << 20  # of spans as `bytes_of` counts them
PARTS = 256  # of a spill: 5 GB of input make parts of some 15 MB
DEPTH_MAX = 3  # how often a part that is too large is parted again; 256 ** 3 parts are enough for any disk
BUFFER_BYTES = 64 << 10  # written to a part at once
BATCH_SPANS = 20_000  # traces are handed out together until they have so many spans
CAP = EnginePolicy().trace_spans_max

Traces = dict[bytes, list[Item]]  # by trace id, in the order of first items


class TraceSpool:
    """Collects spans; hands out traces. A context manager: its end takes the temporary folder away."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._memory_bytes = memory_bytes
        self._traces: Traces = {}
        self._bytes = 0
        self._folder: TemporaryDirectory[str] | None = None
        self._parts: _Parts | None = None
        self.items = 0  # that were added

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def spilled(self) -> bool:
        """Whether the spans did not fit into memory."""
        return self._parts is not None

    def add(self, item: Item) -> None:
        """Keep an item. Raises UserError where there is no room on the disk."""
        self.items += 1
        if self._parts is not None:
            self._parts.add(item)
            return
        _hold(self._traces, item)
        self._bytes += bytes_of(item)
        if self._bytes > self._memory_bytes:
            self._spill()

    def batches(self) -> Iterator[Traces]:
        """All traces, some at a time. To be walked once, when everything was added."""
        if self._parts is None:
            yield from _batches(self._traces)
            return
        for file in self._parts.files():
            yield from self._part(file, 1)

    def _spill(self) -> None:
        try:
            self._folder = TemporaryDirectory(prefix="stepwatch-", ignore_cleanup_errors=True)
        except OSError as error:
            raise _no_room(error) from error
        self._parts = _Parts(Path(self._folder.name), 0)
        for items in self._traces.values():
            for item in items:
                self._parts.add(item)
        self._traces = {}

    def _part(self, file: Path, depth: int) -> Iterator[Traces]:
        """The traces of one part; one that is too large is parted again, by other bits of the same hash."""
        if file.stat().st_size > self._memory_bytes // 2 and depth < DEPTH_MAX:
            finer = _Parts(file.with_suffix(".parts"), depth)
            for item in _items_of(file):
                finer.add(item)
            file.unlink()
            for inner in finer.files():
                yield from self._part(inner, depth + 1)
            return
        traces: Traces = {}
        for item in _items_of(file):
            _hold(traces, item)
        file.unlink()
        yield from _batches(traces)


class _Parts:
    """Files in a folder, each with the items of the traces whose hash ends alike. No file stays open."""

    def __init__(self, folder: Path, depth: int) -> None:
        self._folder, self._shift = folder, 8 * depth
        self._buffers: list[list[bytes]] = [[] for _ in range(PARTS)]
        self._sizes = [0] * PARTS
        folder.mkdir(exist_ok=True)

    def add(self, item: Item) -> None:
        part = xxh3_64_intdigest(item.trace_id) >> self._shift & PARTS - 1
        body = marshal.dumps((isinstance(item, LogRecord), tuple(item)))
        self._buffers[part] += (len(body).to_bytes(4, "big"), body)
        self._sizes[part] += len(body)
        if self._sizes[part] > BUFFER_BYTES:
            self._write(part)

    def files(self) -> list[Path]:
        """The files that hold anything, complete."""
        for part, buffered in enumerate(self._sizes):
            if buffered:
                self._write(part)
        return sorted(self._folder.glob("*.spans"))

    def _write(self, part: int) -> None:
        try:
            with (self._folder / f"{part:03}.spans").open("ab") as file:
                file.write(b"".join(self._buffers[part]))
        except OSError as error:
            raise _no_room(error) from error
        self._buffers[part], self._sizes[part] = [], 0


def _no_room(error: OSError) -> UserError:
    cure = "free some space, or set TMPDIR to a folder on a larger disk"
    return UserError(f"spans that do not fit into memory cannot be put aside: {error.strerror}; {cure}")


def _items_of(file: Path) -> Iterator[Item]:
    with file.open("rb") as opened:
        while body := _body(opened):
            is_log, fields = marshal.loads(body)  # noqa: S302 (our own file, of this very process)
            yield LogRecord._make(fields) if is_log else Span._make(fields)


def _body(file: IO[bytes]) -> bytes:
    return file.read(int.from_bytes(file.read(4), "big"))


def _hold(traces: Traces, item: Item) -> None:
    """Keep an item with its trace. Of a trace far over its cap one more distinct span than the cap is enough, and as many
    log records: neither pushes the other out."""
    held = traces.setdefault(item.trace_id, [])
    held.append(item)
    if len(held) % (2 * CAP) == 0:
        distinct = list(reversed({(i.span_id, i.content_hash): i for i in reversed(held)}.values()))
        logs = [i for i in distinct if isinstance(i, LogRecord)][: CAP + 1]
        held[:] = [*[i for i in distinct if isinstance(i, Span)][: CAP + 1], *logs]


def _batches(traces: Traces) -> Iterator[Traces]:
    batch: Traces = {}
    held = 0
    for trace_id in list(traces):
        batch[trace_id] = traces.pop(trace_id)
        held += len(batch[trace_id])
        if held >= BATCH_SPANS:
            yield batch
            batch, held = {}, 0
    if batch:
        yield batch
