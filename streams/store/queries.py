"""The queries people ask first: infra/queries/*.sql, each with a header that says what it answers and what it takes.

A header line `-- @name = default   what it means` declares a parameter; without ` = default` it must be given. Values go to
the server beside the SQL (`{name:Type}`), never into it.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from streams.console.errors import UserError

FOLDER = Path(__file__).parents[2] / "infra" / "queries"
_PARAMETER = re.compile(r"^-- @(\w+)(?: = (\S+))?\s+(\S.*)$", re.MULTILINE)


class Parameter(NamedTuple):
    """One value that a query takes. `default` None: it must be given."""

    name: str
    default: str | None
    meaning: str


class ShippedQuery(NamedTuple):
    """One named query."""

    name: str
    answers: str  # the first sentence of its header
    parameters: tuple[Parameter, ...]
    sql: str

    def bind(self, given: Mapping[str, str]) -> dict[str, str]:
        """All its parameters. Raises UserError for one that is unknown or missing."""
        known = {p.name for p in self.parameters}
        for name in given.keys() - known:
            raise UserError(f"query {self.name} has no parameter {name!r}; it takes {', '.join(sorted(known))}")
        values = {p.name: given.get(p.name, p.default) for p in self.parameters}
        for name, value in values.items():
            if value is None:
                raise UserError(f"query {self.name} needs its parameter {name!r}: add `-p {name}=...`")
        return {name: value for name, value in values.items() if value is not None}


def shipped(folder: Path = FOLDER) -> list[ShippedQuery]:
    """All of them, by name."""
    return [parse(path.stem, path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]


def named(name: str, folder: Path = FOLDER) -> ShippedQuery:
    """The query of this name. Raises UserError, with the nearest name, when there is none."""
    queries = {query.name: query for query in shipped(folder)}
    if name in queries:
        return queries[name]
    near = difflib.get_close_matches(name, queries, 1)
    raise UserError(
        f"there is no query {name!r}"
        + (f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(queries)}")
    )


def parse(name: str, text: str) -> ShippedQuery:
    """A query from its file's text."""
    first, _, _ = text.partition("--\n")
    answers = " ".join(line.removeprefix("-- ").strip() for line in first.splitlines())
    parameters = tuple(Parameter(n, d or None, meaning.strip()) for n, d, meaning in _PARAMETER.findall(text))
    return ShippedQuery(name, answers, parameters, text)
