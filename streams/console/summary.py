"""What scoring came to: the counts of each evaluator under its workflow and step."""

from rich.text import Text

from streams.console.results import printable
from streams.console.tally import Count, Key, Tally

ROWS_SHOWN = 60  # those with most failures, where there are more
NAME_CELLS = 28
HEAD = f"{'':{NAME_CELLS}}{'pass':>9}{'fail':>9}{'unscored':>10}{'error':>7}{'fail rate':>11}{'score':>8}"
STYLES = {"fail": "bold red", "error": "bold magenta"}


def summary(tally: Tally, rows_shown: int | None = None) -> Text:
    """Counts, fail rate and mean score. With `rows_shown` those with most failures, and how many are left out."""
    rows = sorted(tally.series.items(), key=_badness)[:rows_shown]
    text = Text(f"{_title(tally)}\n", style="bold")
    text = Text.assemble(text, (HEAD, "dim"))
    before = ("", "")
    for (workflow, step, evaluator), count in sorted(rows, key=lambda row: row[0]):
        if workflow != before[0]:
            text.append(f"\n{printable(workflow)}", style="bold")
        if (workflow, step) != before:
            text.append(f"\n  {printable(step)}", style="cyan")
        before = (workflow, step)
        text.append(f"\n    {evaluator:{NAME_CELLS - 4}}")
        _append_figures(text, count)
    if left_out := len(tally.series) - len(rows):
        text.append(f"\nthe {len(rows)} rows with most failures; --all shows {left_out:,} more", style="dim")
    return text


def _title(tally: Tally) -> str:
    results = sum(sum(count.verdicts.values()) for count in tally.series.values())
    return f"{tally.traces:,} {'trajectory' if tally.traces == 1 else 'trajectories'}, {results:,} results"


def _badness(row: tuple[Key, Count]) -> tuple[int, int, int, Key]:
    key, count = row
    return -count.verdicts["fail"], -count.verdicts["error"], -count.judged, key


def _append_figures(text: Text, count: Count) -> None:
    for (verdict, number), cells in zip(count.verdicts.items(), (9, 9, 10, 7), strict=True):
        text.append(f"{number:>{cells},}", style=STYLES.get(verdict, "") if number else "dim")
    rate, score = count.fail_rate, count.mean_score
    text.append(f"{'-' if rate is None else f'{rate:.1%}':>11}", style="bold red" if rate else "dim")
    text.append(f"{'-' if score is None else f'{score:.3f}':>8}")
