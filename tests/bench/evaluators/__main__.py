"""`make bench-evaluators`: every figure that docs/evaluators.md shows, measured and printed beside its target.

Writes docs/figures/evaluators.md when all parts were measured. Exit code 1 when a target is missed.
`--only quality|cases|rival|speed|curve` (several times) measures some parts, prints them, and writes nothing.
"""

import argparse
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from evaluators.catalogue import EVALUATORS
from schemas.compiled import IS_COMPILED
from streams.garbage import collect_rarely
from tests.bench.evaluators import bfcl, curve, quality, rivals, side_by_side, speed
from tests.bench.evaluators.data import Recorded, shared
from tests.bench.evaluators.report import Section, markdown, missed, show

WIDTH = 180  # of the output in a file
PARTS = ("quality", "cases", "rival", "speed", "curve")
PAGE = Path(__file__).parents[3] / "docs" / "figures" / "evaluators.md"


def main() -> int:
    """Measure, print, write."""
    arguments = argparse.ArgumentParser(prog="make bench-evaluators", description="Figures of the evaluators.")
    arguments.add_argument("--only", action="append", choices=PARTS, help="measure this part only; repeatable")
    chosen = arguments.parse_args().only or PARTS
    root, screen = shared(), _screen()
    with Progress(
        TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(), console=screen, transient=True
    ) as progress:
        sections = []
        for section in _measure(root, chosen, progress):
            show(screen, section)
            sections.append(section)
    short = missed(sections)
    for what in short:
        screen.print(f"[bold red]missed[/] {what}", highlight=False)
    if len(chosen) == len(PARTS):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(markdown(sections, _head()), encoding="utf-8")
        screen.print(f"written: {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")
    return 1 if short else 0


def _screen() -> Console:
    """The terminal; where there is none, wide enough for the tables."""
    screen = Console()
    return screen if screen.is_terminal else Console(width=WIDTH)


def _measure(root: Path, chosen: Sequence[str], progress: Progress) -> Iterator[Section]:
    parts = progress.add_task("parts", total=len(PARTS))
    python = rivals.environment(progress.console) if "rival" in chosen else None
    data = Recorded(root)
    collect_rarely()  # as the scorer does, and the rival's process here
    scores = quality.scores_of(data.runs) if {"quality", "rival"} & set(chosen) else {}
    if "quality" in chosen:
        yield quality.targets(data, scores)
        yield quality.ranking(data, scores)
    progress.advance(parts)
    if "cases" in chosen:
        questions = bfcl.Questions(bfcl.Cases(root / "data/bfcl"))
        theirs = rivals.ask(python, questions.for_rival()) if python else None
        rival = (theirs["validated"], theirs["compared"]) if theirs else None
        yield from bfcl.sections(questions, questions.ours(), rival)
    progress.advance(parts)
    speeds = speed.Speeds(data) if {"rival", "speed"} & set(chosen) else None
    if python and speeds:
        answer = rivals.ask(python, side_by_side.given(data))
        yield side_by_side.quality(data, scores, answer)
        yield side_by_side.planted(root, data, python)
        yield side_by_side.speed(speeds, answer)
    progress.advance(parts)
    if "speed" in chosen and speeds:
        generated = speed.Generated(root)
        yield speed.section(speeds, generated)
        yield speed.each(data, generated)
    progress.advance(parts)
    if "curve" in chosen:
        yield from curve.sections(root, progress)
    progress.advance(parts)


def _head() -> str:
    machine = (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {os.cpu_count()} CPUs, "
        + ("hot path compiled" if IS_COMPILED else "hot path not compiled")
    )
    names = ", ".join(dict.fromkeys(e.name for e in EVALUATORS))
    return (
        "# Figures of the evaluators\n\n"
        "Made by `make bench-evaluators`, which measures everything below anew and exits with 1 when a target is missed; "
        f"never edited by hand. This run: {machine}.\n\nEvaluators on: {names}.\n"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except rivals.NoRival as problem:
        sys.exit(f"the side by side could not be measured: {problem}")
