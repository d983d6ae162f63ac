"""`stepwatch rules check|explain|test|dry-run|simulate`: for who writes a rule, before anybody is called by it.

Thin: files, clocks, chance and the stores are here; what they mean is decided in `streams.core`.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from schemas.config import ConfigError
from schemas.duration import duration_ms
from schemas.rule import RuleSet
from streams.console import rules_shown as shown
from streams.console.errors import UserError
from streams.console.parts import Bootstrap, Store, effective

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

rules = typer.Typer(no_args_is_help=True)
VOLUMES = (0.2, 5.0, 50.0, 500.0)
SIMULATED_VOLUMES = (5.0, 50.0)
RuleFile = Annotated[Path, typer.Argument(help="A rule file.")]
Since = Annotated[str, typer.Option(help="How far back, such as 7d.")]
Workflow = Annotated[str, typer.Option(help="For this workflow's lines.")]
Volumes = Annotated[list[float] | None, typer.Option(help="Decided runs a minute; may be repeated.")]
SharedBy = Annotated[int, typer.Option(min=1, help="Series of the workflow that share the budget.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(rules, name="rules", help="Rules: check, explain, test, replay and simulate them.")


@rules.command()
def check(files: Annotated[list[Path], typer.Argument(help="Rule files.")]) -> None:
    """Check rule files; exit code 1 with file, line and cure for everything that is wrong."""
    from schemas.cross_check import check_rules
    from schemas.registry import EMPTY

    for file in files:
        read = read_rules(file)
        if slips := check_rules(read.text, str(file), EMPTY):
            raise UserError("\n".join(str(slip) for slip in slips))
        _out().print(f"{file}: {len(read.rules)} rules, ok", markup=False)


@rules.command()
def explain(
    file: RuleFile,
    workflow: Workflow = "",
    per_minute: Volumes = None,
    series: SharedBy = 1,
    since: Annotated[
        str, typer.Option(help="At the volume that was seen in this time, such as 7d, by ClickHouse.")
    ] = "",
    clickhouse_url: Store = None,
) -> None:
    """Say in words and numbers when each rule of a file would fire."""
    volumes = _volumes(per_minute, VOLUMES)
    read = read_rules(file)
    if not since:
        for rule in read.rules:
            _out().print(shown.explained(rule, workflow, volumes, series))
        return
    from streams.core.replay_rules import volumes as seen_volumes
    from streams.store.stored_outcomes import decided, now_ms

    span_ms = _span_ms(since)
    with _store(clickhouse_url) as client:
        until_ms = now_ms(client)
        seen = seen_volumes(read, decided(client, until_ms - span_ms, until_ms), span_ms)
    for rule in read.rules:
        _out().print(shown.explained_as_seen(rule, [v for v in seen if v.rule_uid == rule.uid], since))


@rules.command()
def test(files: Annotated[list[Path], typer.Argument(help="Files of timelines, as docs/rules.md describes.")]) -> None:
    """Run timelines through rules; exit code 1 when an event is missing, wrong, or not expected."""
    from schemas.rule_tests import parse_rule_tests
    from streams.core.rehearsal import differences, rehearse

    failed = 0
    for file in files:
        try:
            tests = parse_rule_tests(_text(file), str(file))
        except ConfigError as error:
            raise UserError(str(error)) from error
        read = _rules_of(tests.rules, file)
        for one in tests.tests:
            wrong = differences(one, rehearse(read, one))
            failed += bool(wrong)
            _out().print(
                Text(f"{'FAIL' if wrong else 'ok':<4} {file.name}: {one.name}", style="red" if wrong else ""),
                soft_wrap=True,
            )
            for sentence in wrong:
                _out().print(Text(f"     {sentence}"), soft_wrap=True)
    if failed:
        raise UserError(f"{failed} timelines do not hold")


@rules.command("dry-run")
def dry_run(
    file: RuleFile,
    since: Since = "7d",
    against: Annotated[Path | None, typer.Option(help="Compare with this file, not with the rules in force.")] = None,
    bootstrap_servers: Bootstrap = None,
    clickhouse_url: Store = None,
) -> None:
    """Replay stored outcomes through changed rules, and show what fires beside what today's rules make of them."""
    from streams.core.replay_rules import replay, side_by_side
    from streams.store.stored_outcomes import decided, now_ms

    changed = read_rules(file)
    today = read_rules(against) if against else _in_force(bootstrap_servers)
    span_ms = _span_ms(since)
    with _store(clickhouse_url) as client:
        until_ms = now_ms(client)
        before, after = (
            replay(rule_set, decided(client, until_ms - span_ms, until_ms), until_ms) for rule_set in (today, changed)
        )
    _out().print(shown.beside(side_by_side(before, after), before, after, since))


@rules.command()
def simulate(
    file: RuleFile,
    workflow: Workflow = "",
    per_minute: Volumes = None,
    series: SharedBy = 1,
    rule: Annotated[str, typer.Option(help="Only the rule of this uid.")] = "",
    days: Annotated[int, typer.Option(min=1, max=100_000, help="Days for each count of false alarms.")] = 20,
    runs: Annotated[int, typer.Option(min=1, max=100_000, help="Changes for each delay.")] = 20,
    seed: Annotated[int, typer.Option(help="The same seed gives the same table.")] = 1,
) -> None:
    """Count how often rules are wrong and how late they are, under seeded random outcomes."""
    volumes = _volumes(per_minute, SIMULATED_VOLUMES)
    chosen = [r for r in read_rules(file).rules if rule in ("", r.uid)]
    if not chosen:
        raise UserError(f"{file}: no rule has the uid {rule!r}")
    for one in chosen:
        chance = random.Random(seed).random  # noqa: S311 (a simulation)
        _out().print(shown.simulated(one, workflow, volumes, series, days, runs, chance))


def read_rules(file: Path) -> RuleSet:
    """The rules of a file. Raises UserError with every problem found."""
    return _parsed(_text(file), str(file))


def _rules_of(said: str, file: Path) -> RuleSet:
    """The rules that a file of tests names, or holds."""
    return _parsed(said, f"{file}: rules") if "\n" in said else read_rules(file.parent / said)


def _parsed(text: str, source: str) -> RuleSet:
    from schemas.rules import parse_rules

    try:
        return parse_rules(text, source)
    except ConfigError as error:
        raise UserError(str(error)) from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from error


def _in_force(bootstrap_servers: str | None) -> RuleSet:
    from streams.config_log import read_config

    return _parsed(
        asyncio.run(read_config(effective(bootstrap_servers=bootstrap_servers))).rules_text, "the rules in force"
    )


@contextmanager
def _store(clickhouse_url: str | None) -> "Iterator[Client]":
    from streams.store.client import connect
    from streams.store.errors import StoreUnavailable

    client = connect(effective(clickhouse_url=clickhouse_url))
    try:
        yield client
    except StoreUnavailable as error:
        raise UserError(f"the outcomes cannot be read: {error}") from error
    finally:
        client.close()


def _volumes(given: list[float] | None, default: tuple[float, ...]) -> tuple[float, ...]:
    if bad := [volume for volume in given or () if not 0 < volume < 1e6]:
        raise UserError(f"--per-minute {bad[0]:g}: a volume is greater than 0 and below a million")
    return tuple(given or default)


def _span_ms(text: str) -> int:
    try:
        return duration_ms(text)
    except ValueError as error:
        raise UserError(f"--since {error}") from error


def _out() -> Console:
    return Console(highlight=False)
