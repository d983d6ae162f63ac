"""The table: scenario, what was expected, what was seen, how late, which cause; and what was wrong."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tests.scenarios.judge import Verdict


def show(verdicts: Iterable[Verdict], console: Console) -> bool:
    """Print it. Whether all is well."""
    table, wrong = Table(title="Scenarios on the running stack", show_lines=True), list[str]()
    for name, justify in (
        ("scenario", "left"),
        ("expected", "left"),
        ("seen", "left"),
        ("delay s", "right"),
        ("first cause", "left"),
        ("", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")
    for v in verdicts:
        table.add_row(
            v.scenario,
            "\n".join(v.expected),
            "\n".join(v.seen),
            "\n".join(f"{s:.1f}" for s in v.delays_s),
            "\n".join(v.causes),
            "[red]WRONG[/]" if v.problems else "ok",
        )
        wrong += [f"{v.scenario} (seed {v.seed}): {problem}" for problem in v.problems]
    console.print(table)
    for sentence in wrong:
        console.print(sentence, style="red", markup=False, highlight=False)
    return not wrong
