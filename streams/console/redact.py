"""`stepwatch redact`: what redaction would leave of recorded spans, attribute by attribute, before anybody turns it on."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from google.protobuf.message import DecodeError
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from schemas.otlp import InvalidOtlp, attribute_items, parse_resource, parse_span, text_of
from schemas.redaction.levels import LEVELS, Level
from schemas.redaction.patterns import TOKEN, WHOLE
from schemas.redaction.redactor import Redactor
from schemas.registry import EMPTY, Registry
from schemas.topic_record import split_parts
from schemas.workflow import Workflow
from streams.console.errors import UserError
from streams.console.inputs import Workflows, registry_of
from streams.otlp_files import exports_of
from streams.settings import Settings

SAMPLE_CHARS_MAX = 70
FATES = ("kept", "masked", "placeholder", "taken away")


class Fate(NamedTuple):
    """What became of one attribute of one span."""

    key: str
    fate: str
    left: str  # where something was replaced: what stands there now


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("redact", rich_help_panel="Offline")(redact)


def redact(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="OTLP as JSON or protobuf, or an export of Jaeger or Tempo; also .gz.", exists=True, dir_okay=False
        ),
    ],
    workflows: Workflows = None,
    tenant: Annotated[str, typer.Option(help="Whose level holds, as `redaction.tenants` says it.")] = "default",
    level: Annotated[str | None, typer.Option(help=f"A level for all spans instead: {', '.join(LEVELS)}.")] = None,
) -> None:
    """Show what redaction would leave of recorded spans: attribute by attribute, how often it was kept, masked, replaced by a
    placeholder or taken away. Nothing is written.

    A masked sample shows what a reader of the store would see. Tokens hold an HMAC only with STEPWATCH_REDACTION_SECRET.
    """
    if level is not None and level not in LEVELS:
        raise UserError(f"--level {level}: there are {', '.join(LEVELS)}")
    redactor = Redactor(_for_all(level) if level else registry_of(workflows), Settings().redaction_key)
    fates: Counter[tuple[str, str]] = Counter()
    samples: dict[str, str] = {}
    for path in files:
        for line, document in exports_of(path):
            try:
                found = list(_fates(document, redactor, tenant))
            except (InvalidOtlp, DecodeError) as error:
                raise UserError(f"{path}:{line}: {error}") from error
            for key, fate, left in found:
                fates[key, fate] += 1
                if fate == "masked":
                    samples.setdefault(key, left)
    _show(Console(highlight=False), fates, samples, redactor.counts)


def _for_all(level: str) -> Registry:
    known: Level = next(known for known in LEVELS if known == level)
    return Registry(EMPTY.version, {}, (), Workflow("defaults", redaction=known))


def _fates(document: bytes, redactor: Redactor, tenant: str) -> Iterator[Fate]:
    for raw in split_parts(document).spans:
        kept, _ = redactor.span(raw, tenant)
        yield from _compared("", parse_span(raw.span), parse_span(kept.span))
        yield from _compared("resource: ", parse_resource(raw.resource), parse_resource(kept.resource))


def _compared(prefix: str, before: Any, after: Any) -> Iterator[Fate]:
    left = {str(key): bytes(value) for key, value in attribute_items(after.attributes)}
    for key, value in attribute_items(before.attributes):
        now = left.get(str(key))
        if now is None:
            yield Fate(f"{prefix}{key}", "taken away", "")
        elif now == bytes(value):
            yield Fate(f"{prefix}{key}", "kept", "")
        else:
            text = text_of(now) or ""
            yield Fate(f"{prefix}{key}", "placeholder" if WHOLE in text else "masked", text)


def _show(screen: Console, fates: Counter[tuple[str, str]], samples: dict[str, str], counts: Counter[str]) -> None:
    table = Table(Column("attribute", overflow="fold"), *FATES, "a masked value", box=None)
    for key in sorted({key for key, _ in fates}):
        sample = samples.get(key, "")
        at = TOKEN.search(sample)
        start = max(0, at.start() - 20) if at else 0
        table.add_row(
            Text(key), *(str(fates[key, f] or "") for f in FATES), Text(sample[start : start + SAMPLE_CHARS_MAX])
        )
    screen.print(table)
    told = ", ".join(f"{n:,} {kind}" for kind, n in counts.most_common())
    screen.print(f"in all: {told or 'nothing was taken away'}")
