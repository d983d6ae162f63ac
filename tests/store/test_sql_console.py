"""`stepwatch sql` as people see it: tables that fit, hostile text that stays text."""

import io

import orjson
import pytest
from rich.console import Console

from streams.console.sql import TABLE_ROWS_MAX, show


def lines(names: list[str], *rows: list[object]) -> list[bytes]:
    types = ["UInt64" if isinstance(value, int) else "String" for value in rows[0]]
    return [orjson.dumps(row) for row in (names, types, *rows)]


def shown(wire: list[bytes], width: int, terminal: bool = False) -> str:
    out = io.StringIO()
    show(wire, Console(file=out, width=width, force_terminal=terminal, no_color=True))
    return out.getvalue()


def test_a_row_is_a_line_of_the_table():
    table = shown(lines(["step", "n"], ["executor/update_crm", 3]), 80)
    assert "│ executor/update_crm │ 3 │" in table


@pytest.mark.parametrize("text", ["[red]", "[/nothing]", "\x1b]0;owned\x07", "a\rb", "\u202eevil"])
def test_text_of_a_producer_neither_is_markup_nor_drives_the_terminal(text: str):
    table = shown(lines(["x"], [text]), 80)
    assert "".join(c if c.isprintable() else "\ufffd" for c in text) in table
    assert "\x1b" not in table


def test_what_does_not_fit_a_terminal_is_printed_one_value_a_line():
    names = [f"column_{n}" for n in range(12)]
    text = shown(lines(names, [f"value {n}" for n in range(12)]), 80, terminal=True)
    assert "│" not in text
    assert "value 11" in text


def test_a_table_has_a_bound_and_says_so():
    rows = [[n] for n in range(TABLE_ROWS_MAX + 1)]
    assert f"the first {TABLE_ROWS_MAX} rows; --format csv prints all" in shown(lines(["n"], *rows), 80)
    assert "the first" not in shown(lines(["n"], *rows[:-1]), 80)


def test_no_columns_at_all_are_no_error():
    assert shown([], 80).strip() == ""
