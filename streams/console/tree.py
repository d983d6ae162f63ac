"""One trajectory as a tree that a person can read: its steps, what went in and came out, and what the evaluators said.

A pure function of its values. The law: each verdict is shown once, a failure always with its code and its reason; passes
take one line a step. What producers wrote is never read as markup and cannot drive the terminal.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from schemas.payload import json_or_text
from schemas.result import Result
from schemas.rows import TrajectoryRow
from schemas.span import CLOCK_SUSPECT, ERROR, Span, flag_names
from schemas.trajectory import FLAG_NAMES, Step, Trajectory
from streams.console.results import VERDICT_STYLES, printable

DEPTH_MAX = 12  # deeper steps hang below their ancestor there: the guides alone would fill the line
SEVERITY = {"fail": 3, "error": 2, "pass": 1, "unscored": 0}
MARKS = {"pass": "✓", "fail": "✗", "unscored": "·", "error": "!", "in": "→", "out": "←", "says": "»"}
ASCII_MARKS = {"pass": "+", "fail": "x", "unscored": "-", "error": "!", "in": ">", "out": "<", "says": ":"}
Line = tuple[Text, Text]  # a sign, and what it stands for
CALLS = frozenset({"tool_call", "retrieval", "handoff"})


class Look(NamedTuple):
    """How much is shown, and with which signs."""

    chars: int = 160  # of an argument, a result, a text; 0: none of them
    fails_only: bool = False  # steps with a failure or an error, and what they hang below
    ascii_only: bool = False

    @property
    def marks(self) -> Mapping[str, str]:
        """The signs before lines."""
        return ASCII_MARKS if self.ascii_only else MARKS


def tree(trajectory: Trajectory, row: TrajectoryRow, look: Look) -> RenderableType:
    """The whole page: who and when, the steps, the trajectory's own results."""
    said: dict[bytes, list[Result]] = {}
    for result in row.results:
        said.setdefault(result.span_id, []).append(result)
    parts: list[RenderableType] = [_head(trajectory, row), Text()]
    parts += _steps(trajectory, said, look)
    whole = said.get(b"", [])
    if whole:
        branch = Tree(Text("the trajectory", style="bold"), guide_style="dim")
        for result in sorted(whole, key=lambda result: -SEVERITY[result.verdict]):
            branch.add(_hanging([_line(result, look)]))
        parts += [Text(), branch]
    return Group(*parts)


def _head(trajectory: Trajectory, row: TrajectoryRow) -> Text:
    fails = sum(result.verdict == "fail" for result in row.results)
    text = Text.assemble((printable(row.workflow), "bold"), "  ", (row.trace_id.hex(), "cyan"), "\n")
    facts = [
        f"{row.n_spans} spans",
        f"{row.n_steps} steps",
        spell_ns(row.end_ns - row.start_ns),
        f"{row.input_tokens + row.output_tokens:,} tokens" if row.input_tokens + row.output_tokens else "",
        f"task {row.task_id}" if row.task_id else "",
        f"session {row.session_id}" if row.session_id else "",
        f"release {row.release}" if row.release else "",
        *(name for bit, name in FLAG_NAMES.items() if trajectory.flags & bit),
        *flag_names(trajectory.flags & ~CLOCK_SUSPECT),  # a recorded run is always far from now
    ]
    text.append(", ".join(printable(fact) for fact in facts if fact), style="dim")
    text.append("\n")
    if not row.results and row.weight == 0.0:
        text.append("not judged: it is outside the sample of its workflow", style="yellow")
        return text
    count = f"{fails} of {len(row.results)} results failed" if fails else f"none of {len(row.results)} results failed"
    text.append(count, style="bold red" if fails else "green")
    if row.weight == 0.0:
        text.append("; it is outside the sample of its workflow, and counts nowhere", style="yellow")
    return text


def _steps(trajectory: Trajectory, said: Mapping[bytes, list[Result]], look: Look) -> Iterator[RenderableType]:
    """A tree for each step without a parent, in the order of the trajectory."""
    shown = _failing(trajectory.steps, said) if look.fails_only else set(range(len(trajectory.steps)))
    began_ns = min((step.span.start_ns for step in trajectory.steps), default=0)
    branches: dict[int, tuple[Tree, int]] = {}
    tops: list[Tree] = []
    for step in trajectory.steps:  # parents come before their children
        if step.index not in shown:
            continue
        label = _label(step, said.get(step.span.span_id, []), began_ns, look)
        above = branches.get(step.parent) if step.parent is not None else None
        if above is None:
            branch, depth = Tree(label, guide_style="dim"), 0
            tops.append(branch)
        else:
            branch, depth = above[0].add(label), above[1] + 1
        branches[step.index] = above if above is not None and depth > DEPTH_MAX else (branch, depth)
    yield from tops
    if left_out := len(trajectory.steps) - len(shown):
        yield Text(f"{left_out} steps without a failure are not shown", style="dim")


def _failing(steps: Iterable[Step], said: Mapping[bytes, list[Result]]) -> set[int]:
    """Steps with a failure or an error, and all that they hang below."""
    parents: dict[int, int | None] = {}
    shown: set[int] = set()
    for step in steps:
        parents[step.index] = step.parent
        if any(result.verdict in ("fail", "error") for result in said.get(step.span.span_id, ())):
            at: int | None = step.index
            while at is not None and at not in shown:
                shown.add(at)
                at = parents[at]
    return shown


def _label(step: Step, said: list[Result], began_ns: int, look: Look) -> RenderableType:
    span = step.span
    worst = max((result.verdict for result in said), key=SEVERITY.__getitem__, default="unscored")
    head = Text.assemble((f"{look.marks[worst]} {printable(step.label)}", VERDICT_STYLES[worst]), overflow="fold")
    after = f"+{spell_ns(max(0, span.start_ns - began_ns))}"
    head.append(f"  {span.kind}, {spell_ns(span.end_ns - span.start_ns)}, at {after}", style="dim")
    return Group(head, _hanging([*_content(step, look), *_verdicts(said, look)], indent=2))


def _hanging(lines: Iterable[Line], indent: int = 0) -> Table:
    """Lines behind their signs: what is too long goes on below its beginning."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=indent + 1, justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for sign, text in lines:
        grid.add_row(sign, text)
    return grid


def _content(step: Step, look: Look) -> Iterator[Line]:
    """What went in and came out."""
    span, marks = step.span, look.marks
    if span.status == ERROR or span.error_type:
        named = ": ".join(part for part in (span.error_type, span.status_message) if part) or "no message"
        yield Text(marks["error"], style="red"), Text(f"status ERROR, {cut(named, 160)}", style="red")
    if not look.chars:
        return
    if step.kind in CALLS:
        for mark, content in (("in", span.arguments), ("out", span.result)):
            if content is not None:
                yield Text(marks[mark], style="dim"), Text(cut(_compact(content), look.chars))
        return
    for spoken in _spoken(span):
        yield Text(marks["says"], style="dim"), Text(cut(spoken, look.chars), style="italic")


def _compact(content: str) -> str:
    """JSON without its blanks; anything else as it is."""
    value = json_or_text(content)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _spoken(span: Span) -> Iterator[str]:
    """Texts in the output messages of a model call; what they call is in the steps that follow."""
    texts = list(_texts(json_or_text(span.output_messages))) if span.output_messages else []
    yield from (text for text in texts if text.strip())


def _texts(message: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(message, str):
        yield message
    elif isinstance(message, list) and depth < 8:
        for item in message:
            yield from _texts(item, depth + 1)
    elif isinstance(message, dict) and depth < 8 and message.get("type", "text") in ("text", "output_text", "message"):
        for key in ("content", "text", "parts"):
            yield from _texts(message.get(key), depth + 1)


def _verdicts(said: list[Result], look: Look) -> Iterator[Line]:
    """Failures and errors first, a line each; then what could not be judged; then all that passed, in one line."""
    for verdict in ("fail", "error", "unscored"):
        yield from (_line(result, look) for result in said if result.verdict == verdict)
    if passed := ", ".join(result.evaluator for result in said if result.verdict == "pass"):
        yield Text(look.marks["pass"], style="green"), Text(passed, style="dim green")


def _line(result: Result, look: Look) -> Line:
    style = VERDICT_STYLES[result.verdict]
    calm = result.verdict in ("pass", "unscored")
    text = Text.assemble((result.evaluator, style))
    if result.score is not None:
        text.append(f" {result.score:.2f}", style=style)
    if result.reason_code:
        text.append(f"  {result.reason_code}", style="" if calm else "yellow")
    if result.reason:
        text.append(f"  {printable(result.reason)}", style="dim" if calm else "")
    return Text(look.marks[result.verdict], style=style), text


def cut(text: str, chars: int) -> str:
    """The beginning of a text, on one line, and how much there is beyond."""
    plain = printable(text[: 4 * chars + 400])
    if len(plain) <= chars and len(text) <= 4 * chars + 400:
        return plain
    return f"{plain[:chars].rstrip()}… ({len(text):,} characters)"


def spell_ns(ns: int) -> str:
    """A duration as a person says it."""
    ms = ns / 1_000_000
    if ms < 1_000:
        return f"{ms:.0f} ms"
    return f"{ms / 1_000:.2f} s" if ms < 60_000 else f"{int(ms // 60_000)} min {ms % 60_000 / 1_000:.0f} s"
