"""`stepwatch sql`, `stepwatch schema` and `stepwatch expectations`: the store from the command line.

`sql` only reads: statements run with `readonly`, so a slip of the pen changes nothing.
"""

import shutil
import sys
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.console.errors import UserError
from streams.console.parts import Store, effective

if TYPE_CHECKING:
    from collections.abc import Iterable

    from clickhouse_connect.driver.client import Client

    from schemas.config import Problem
    from schemas.expectation import TaskTruth
    from streams.store.queries import ShippedQuery

TABLE_ROWS_MAX = 1_000  # a table of more is not read by anybody; the other formats have no limit
READONLY = {"readonly": 2, "wait_end_of_query": 1}  # the second: an error comes before, not amid, the rows
COLUMN_CHARS_MIN = 10  # a table whose columns would be narrower is printed one value a line
PIPE_WIDTH = 10_000  # no folding where a program may read
NOT_READONLY = 164
EXPECTATIONS_MAX = 1_000  # of one insert


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    json = "json"
    csv = "csv"
    tsv = "tsv"


WIRE = {
    Format.table: "JSONCompactEachRowWithNamesAndTypes",
    Format.json: "JSONEachRow",
    Format.csv: "CSVWithNames",
    Format.tsv: "TabSeparatedWithNames",
}

schema = typer.Typer(no_args_is_help=True)
expectations = typer.Typer(no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(sql)
    app.add_typer(schema, name="schema", help="The tables and views in ClickHouse.")
    app.add_typer(expectations, name="expectations", help="Task truth: what a run of a task should call and say.")


def sql(
    statement: Annotated[str | None, typer.Argument(metavar="[SQL]", help="A SELECT over the v1_* views.")] = None,
    query: Annotated[str | None, typer.Option(help="A shipped query by name; without one they are listed.")] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Read the SQL from a file.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="name=value, repeatable.")] = None,
    output: Annotated[Format, typer.Option("--format", help="json: one object a line.")] = Format.table,
    clickhouse_url: Store = None,
) -> None:
    """Ask ClickHouse: SQL of your own, a file, or one of the shipped queries."""
    from streams.store.client import connect
    from streams.store.queries import named, parse

    given = _pairs(parameter or [])
    asked = [source for source in (statement, query, file) if source is not None]
    if len(asked) > 1:
        raise UserError("give one of SQL, --query and --file")
    if not asked:
        return _list_queries()
    if query is not None:
        found = named(query)
        text, values = found.sql, found.bind(given)
    elif file is not None:
        from_file = parse(file.stem, _text(file))
        text, values = from_file.sql, given | (from_file.bind(given) if from_file.parameters else {})
    else:
        text, values = str(statement), given
    if not text.strip():
        raise UserError("the SQL is empty; without any the shipped queries are listed")
    client = connect(effective(clickhouse_url=clickhouse_url))
    _print(client, text, values, output)
    return None


@schema.command()
def migrate(clickhouse_url: Store = None) -> None:
    """Create the database and apply the migrations that are missing. Safe to repeat."""
    from streams.store.migrate import migrate as apply

    done = apply(effective(clickhouse_url=clickhouse_url))
    typer.echo(f"applied {', '.join(done)}" if done else "nothing to apply")


@schema.command()
def status(clickhouse_url: Store = None) -> None:
    """Each migration, and whether it is applied. Exit code 1 when one is not."""
    from streams.store.client import connect
    from streams.store.migrate import status as states

    found = states(connect(effective(clickhouse_url=clickhouse_url)))
    for migration in found:
        typer.echo(f"{migration.name}  {migration.state}")
    if any(migration.state != "applied" for migration in found):
        raise typer.Exit(1)


@expectations.command()
def load(file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], clickhouse_url: Store = None) -> None:
    """Load task truth from JSON lines. A task that is there already is replaced; a file with an error loads nothing."""
    from streams.store.client import connect
    from streams.store.errors import StoreError
    from streams.store.expectations import load as upsert

    truths = _truths(file)
    client = connect(effective(clickhouse_url=clickhouse_url))
    try:
        for at in range(0, len(truths), EXPECTATIONS_MAX):
            upsert(client, truths[at : at + EXPECTATIONS_MAX])
    except StoreError as error:
        raise UserError(f"{error}: if the table is missing, run `stepwatch schema migrate`") from error
    typer.echo(f"loaded {len(truths)} tasks")


def _truths(file: Path) -> "list[TaskTruth]":
    from schemas.config import ConfigError
    from schemas.expectation import parse_expectation

    problems: list[Problem] = []
    truths: list[TaskTruth] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    truths.append(parse_expectation(line, str(file), number))
                except ConfigError as error:
                    problems.extend(error.problems)
    if problems:
        raise UserError(str(ConfigError(problems)))
    return truths


def _pairs(given: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UserError(f"-p takes name=value, not {name!r}")
    return {name: value for name, _, value in pairs}


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is not UTF-8 text") from error


def _print(client: "Client", text: str, values: dict[str, str], output: Format) -> None:
    from clickhouse_connect.driver.exceptions import Error

    from streams.store.errors import sentence_of

    try:
        statement = text.strip().removesuffix(";")
        answer = client.raw_stream(statement, values or None, settings=_settings(output), fmt=WIRE[output])
    except Error as error:
        only_reads = "`stepwatch sql` only reads; use a client of your own to change data"
        raise UserError(only_reads if error.code == NOT_READONLY else sentence_of(error)) from error
    with cast(BinaryIO, answer) as rows:
        if output is Format.table:
            show(rows, Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH))
        else:
            shutil.copyfileobj(rows, sys.stdout.buffer)


def _settings(output: Format) -> dict[str, Any]:
    return READONLY | ({"output_format_json_quote_64bit_integers": 0} if output in (Format.table, Format.json) else {})


def show(lines: "Iterable[bytes]", console: Console) -> None:
    """Print rows in JSONCompactEachRowWithNamesAndTypes; at most TABLE_ROWS_MAX, and say so.

    In a pipe a table is as wide as it needs to be; in a terminal too narrow for it each row is a block of lines.
    """
    parsed = map(orjson.loads, lines)
    names: list[str] = next(parsed, [])
    types: list[str] = next(parsed, [])
    rows = [[_cell(value) for value in row] for row in islice(parsed, TABLE_ROWS_MAX)]
    if console.is_terminal and len(names) * COLUMN_CHARS_MIN > console.width:
        for number, row in enumerate(rows, 1):
            console.print(_block(number, names, row))
    else:
        console.print(_table(names, types, rows))
    if next(parsed, None) is not None:
        console.print(f"the first {TABLE_ROWS_MAX} rows; --format csv prints all")


def _table(names: list[str], types: list[str], rows: list[list[Text]]) -> Table:
    table = Table(header_style="bold")
    for name, type_ in zip(names, types, strict=True):
        number = type_.removeprefix("Nullable(").startswith(("UInt", "Int", "Float", "Decimal"))
        table.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _block(number: int, names: list[str], row: list[Text]) -> Table:
    block = Table(title=f"row {number}", title_justify="left", box=None, show_header=False)
    block.add_column(style="bold", no_wrap=True)
    block.add_column(overflow="fold")
    for name, cell in zip(names, row, strict=True):
        block.add_row(name, cell)
    return block


def _cell(value: object) -> Text:
    """Text as it is: what a producer wrote is never read as markup, and control characters cannot drive the terminal."""
    text = "" if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
    return Text("".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text))


def _list_queries() -> None:
    from streams.store.queries import shipped

    table = Table("query", "answers", "parameters", header_style="bold")
    for query in shipped():
        table.add_row(query.name, query.answers, Text("\n".join(_declared(query))))
    Console().print(table)


def _declared(query: "ShippedQuery") -> list[str]:
    return [p.name if p.default is None else f"{p.name}={p.default}" for p in query.parameters]
