"""The table of what instrumentors do not capture, and how a run is held against it."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.instrumentors.canonical import Fields

HERE = Path(__file__).parent
ABSENT = "(nothing)"
HEAD = """\
# What instrumentors do not capture

The same run, a planner, an executor and a verifier that refund an order, is recorded under every pair below and must be
read alike, field by field: steps and kinds, agents, tools with arguments and results, failures with the rule that found
them, retries, handoffs, the verdict, tokens. This table is all that is allowed to differ. It is made from
`tests/instrumentors/not_captured.yaml`, and an entry that is not needed any more fails the tests.

| framework | instrumentor | field | shows | because |
|---|---|---|---|---|"""


class Pair(NamedTuple):
    """A framework and what instruments it."""

    name: str
    framework: str
    instrumentor: str
    shape: str  # control | delegation
    page: str  # of docs/instrumentation


class Entry(NamedTuple):
    """Fields (a pattern) that show something else than the truth, and why."""

    field: str
    shows: Any
    why: str


def pairs() -> list[Pair]:
    """All pairs, in the order of the file."""
    said = yaml.safe_load((HERE / "pairs.yaml").read_text(encoding="utf-8"))
    return [Pair(name, **given) for name, given in said.items()]


def table() -> dict[str, list[Entry]]:
    """The entries by pair."""
    said = yaml.safe_load((HERE / "not_captured.yaml").read_text(encoding="utf-8"))
    return {
        pair: [Entry(one["field"], one.get("shows", ABSENT), one["why"]) for one in entries]
        for pair, entries in said.items()
    }


def problems(found: Fields, truth: Fields, entries: list[Entry]) -> Iterator[str]:
    """A sentence for each difference that no entry allows, and for each entry that allows one that is not there."""
    for path in {**truth, **found}:
        shown, wanted = found.get(path, ABSENT), truth.get(path, ABSENT)
        allowed = [entry for entry in entries if fnmatchcase(path, entry.field)]
        if len(allowed) > 1:
            yield f"{path}: several entries speak of it: {[entry.field for entry in allowed]}"
        elif not allowed and shown != wanted:
            yield f"{path} is {shown!r}, not {wanted!r}"
        elif allowed and shown == wanted:
            yield f"{path} is {wanted!r}: the entry {allowed[0].field} is not needed for it any more"
        elif allowed and shown != allowed[0].shows:
            yield f"{path} is {shown!r}, and the table says {allowed[0].shows!r}"
    for entry in entries:
        if not any(fnmatchcase(path, entry.field) for path in {**truth, **found}):
            yield f"{entry.field}: the entry speaks of no field"


def page() -> str:
    """The table as a page of docs/instrumentation."""
    entries = table()
    lines = [HEAD]
    for pair in pairs():
        who = f"| [{pair.framework}]({pair.page}.md) | {pair.instrumentor} "
        lines += [f"{who}| `{one.field}` | {_cell(one.shows)} | {one.why} |" for one in entries.get(pair.name, ())]
    whole = [f"- {pair.framework} with {pair.instrumentor}" for pair in pairs() if pair.name not in entries]
    return "\n".join([*lines, "", "Nothing is lost by", "", *whole, ""])


def _cell(value: Any) -> str:
    if value == ABSENT:
        return "nothing"
    return "empty" if value == "" else f"`{json.dumps(value)}`"
