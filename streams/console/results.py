"""Results as a person or a program wants them: JSON lines, CSV, or a table. One at a time, whatever their number."""

import csv
import io
from typing import IO, Any, Literal, Protocol

import orjson
from rich.cells import set_cell_size
from rich.console import Console
from rich.text import Text

Format = Literal["table", "jsonl", "csv"]
COLUMNS = (
    *("trace_id", "span_id", "workflow", "agent", "step", "evaluator", "evaluator_version"),
    *("verdict", "score", "basis", "reason_code", "reason", "evidence", "final"),
)
VERDICT_STYLES = {"pass": "green", "fail": "bold red", "unscored": "dim", "error": "bold magenta"}
PIPE_WIDTH = 160  # characters of a table that is not shown in a terminal


class ResultWriter(Protocol):
    """Takes results, one after the other."""

    def write(self, result: dict[str, Any]) -> None:
        """One result, as `streams.offline` makes it."""
        ...


def writer_of(format_: Format, sink: IO[bytes], *, terminal: bool) -> ResultWriter:
    """The writer of a format. Only a table looks at whether it is shown in a terminal."""
    if format_ == "jsonl":
        return JsonLines(sink)
    return CsvRows(sink) if format_ == "csv" else TableRows(sink, terminal=terminal)


class JsonLines:
    """One JSON object a line."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink

    def write(self, result: dict[str, Any]) -> None:
        """See ResultWriter."""
        self._sink.write(orjson.dumps(result, option=orjson.OPT_APPEND_NEWLINE))


class CsvRows:
    """RFC 4180, with a header; evidence is JSON text, and what is not there is an empty cell."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink, self._line = sink, io.StringIO()
        self._csv = csv.writer(self._line)
        self._row(COLUMNS)

    def write(self, result: dict[str, Any]) -> None:
        """See ResultWriter."""
        self._row([_cell(result[name]) for name in COLUMNS])

    def _row(self, cells: Any) -> None:
        self._csv.writerow(cells)
        _drain(self._line, self._sink)


class TableRows:
    """Columns of fixed width, as many characters as the terminal has: a table that never waits for its last row."""

    WIDTHS = (("trace", 8), ("workflow", 16), ("step", 30), ("evaluator", 22), ("verdict", 8), ("score", 5))

    def __init__(self, sink: IO[bytes], *, terminal: bool) -> None:
        self._sink, self._line = sink, io.StringIO()
        width = Console().width if terminal else PIPE_WIDTH
        self._console = Console(file=self._line, force_terminal=terminal, highlight=False, width=width)
        self._rest = max(20, width - sum(cells + 1 for _, cells in self.WIDTHS))
        self._print([*((name, "bold") for name, _ in self.WIDTHS), ("reason", "bold")])

    def write(self, result: dict[str, Any]) -> None:
        """See ResultWriter."""
        score = "" if result["score"] is None else f"{result['score']:.3f}"
        code, reason = result["reason_code"], result["reason"]
        cells = [result["trace_id"][:8], result["workflow"], result["step"], result["evaluator"]]
        style = VERDICT_STYLES[result["verdict"]]
        said = f"{code}: {reason}" if code and reason else code or reason
        self._print([*((cell, "") for cell in cells), (result["verdict"], style), (score, style), (said, "")])

    def _print(self, cells: list[tuple[str, str]]) -> None:
        line = Text()
        for (text, style), size in zip(cells, (*(cells for _, cells in self.WIDTHS), self._rest), strict=True):
            line.append(fitted(text, size) + " ", style=style)
        line.rstrip()
        self._console.print(line, soft_wrap=True)
        _drain(self._line, self._sink)


def _drain(line: io.StringIO, sink: IO[bytes]) -> None:
    sink.write(line.getvalue().encode("utf-8", "replace"))
    line.seek(0)
    line.truncate()


def fitted(text: str, cells: int) -> str:
    """A text in exactly so many cells of a terminal: padded, or cut with an ellipsis; what is no print becomes a space."""
    plain = printable(text)
    cut = set_cell_size(plain, cells)
    return cut if cut.rstrip() == plain.rstrip() else set_cell_size(plain, cells - 1) + "…"


def printable(text: str) -> str:
    """On one line, and unable to drive a terminal: what a producer wrote is never trusted."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool):
        return str(value).lower()
    return orjson.dumps(value).decode() if isinstance(value, dict | list) else value
