"""What the demonstration prints at its end: the events as published, the first bad trace, and what happened in it.

The queries are the ones a person would ask; they run against the views `v1_*` and are shown with their answers.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from streams.demo.expected import AlertEvent

Query = Callable[[str, Mapping[str, Any] | None], tuple[list[str], list[tuple[Any, ...]]]]
TEXT_MAX = 110  # characters of a value in a table
BODY_KEYS = (
    "status",
    "reason",
    "rule",
    "labels",
    "annotations",
    "starts_at",
    "fired_at",
    "resolved_at",
    "evidence",
    "attribution",
)
BODY_LONG = ("exemplars",)  # lists of which the first entry is shown

FIRST_BAD_SQL = """\
SELECT trace_id, anchor AS at, release, step, reason_code, reason
FROM v1_results
WHERE workflow = 'refund' AND final AND verdict = 'fail' AND reason_code = 'swallowed'
ORDER BY anchor, trace_id
LIMIT 1"""
STEPS_SQL = """\
SELECT span_id, kind, agent, tool, round(duration_ms) AS ms, status, arguments, result
FROM v1_spans
WHERE trace_key = unhex({trace_id:String}) AND kind NOT IN ('workflow', 'internal', 'memory')
ORDER BY start_time, span_id"""
VERDICTS_SQL = """\
SELECT span_id, step, evaluator, verdict, reason
FROM v1_results
WHERE trace_key = unhex({trace_id:String})
ORDER BY position"""


def events(published: Iterable[AlertEvent]) -> RenderableType:
    """The firing and resolved events, headers and body; long lists are cut."""
    shown = [_event(event) for event in published if event.status in ("firing", "resolved")]
    return Group(Text("Alert events as published on eval.alerts", style="bold"), *shown)


def _event(event: AlertEvent) -> RenderableType:
    headers = Text("\n".join(f"{name}: {value}" for name, value in sorted(event.headers.items())), style="dim")
    body = Syntax(json.dumps(abbreviated(event.body), indent=1), "json", background_color="default", word_wrap=True)
    colour = "red" if event.status == "firing" else "green"
    return Panel(Group(headers, Text(), body), title=f"{event.status} {event.series}", border_style=colour)


def abbreviated(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a person needs of an event's body; of long lists the first entry and how many more there are."""
    short = {key: body[key] for key in BODY_KEYS if body.get(key)}
    if causes := (body.get("attribution") or {}).get("causes"):
        short["attribution"] = {
            "causes": [causes[0]["sentence"], *([f"... {len(causes) - 1} more"] if causes[1:] else [])]
        }
    for key in BODY_LONG:
        if entries := body.get(key):
            short[key] = [entries[0], f"... {len(entries) - 1} more"] if len(entries) > 1 else entries
    return short


def first_bad_trace(query: Query, console: Console) -> str | None:
    """Print the SQL that finds the first bad trace, and its answer; return the trace's id."""
    columns, rows = query(FIRST_BAD_SQL, None)
    console.print(Text("\nThe first bad trace: stepwatch sql", style="bold"))
    console.print(Syntax(FIRST_BAD_SQL, "sql", background_color="default", word_wrap=True))
    answer = Table.grid(padding=(0, 2))  # one row, so a line for each column: nothing is cut in a narrow terminal
    for row in rows:
        for name, value in zip(columns, row, strict=True):
            answer.add_row(Text(name, style="dim"), str(value))
    console.print(answer, Text())
    return str(rows[0][0]) if rows else None


def trajectory(query: Query, trace_id: str, console: Console) -> None:
    """Print one trajectory, step by step, with what the evaluators said of each step and of the whole."""
    _, steps = query(STEPS_SQL, {"trace_id": trace_id})
    _, verdicts = query(VERDICTS_SQL, {"trace_id": trace_id})
    said: dict[str, list[tuple[str, str, str]]] = {}
    for span_id, _step, evaluator, verdict, reason in verdicts:
        said.setdefault(span_id, []).append((evaluator, verdict, reason))
    table = Table(title=f"Trajectory {trace_id}, step by step", title_justify="left", title_style="bold", expand=True)
    for name, ratio in (("step", 2), ("ms", None), ("what was called, and what came back", 4), ("verdicts", 4)):
        table.add_column(name, ratio=ratio, justify="right" if name == "ms" else "left", overflow="fold")
    for span_id, kind, agent, tool, ms, status, arguments, result in steps:
        called = "\n".join(text for text in (arguments, f"-> {result}" if result else None) if text)
        label = f"{agent}/{tool}" if tool else f"{agent} ({kind})"
        label += " ERROR" if status == "error" else ""
        table.add_row(label, f"{ms:.0f}", cut(called), _verdicts(said.get(span_id, [])))
    table.add_section()
    table.add_row("(trajectory)", "", "", _verdicts(said.get("", [])))
    console.print(table)


def _verdicts(said: Iterable[tuple[str, str, str]]) -> Text:
    """Passes by name only, everything else with its reason."""
    styles = {"fail": "bold red", "error": "bold magenta", "unscored": "dim"}
    text, passed = Text(), []
    for evaluator, verdict, reason in said:
        if verdict == "pass":
            passed.append(evaluator)
            continue
        text.append(f"{verdict} ", styles[verdict]).append(evaluator).append(f": {cut(reason)}\n", "dim")
    if passed:
        text.append("pass ", "green").append(", ".join(passed), "dim")
    text.rstrip()
    return text


def cut(text: str) -> str:
    """The text, at most `TEXT_MAX` characters of it in a line."""
    return "\n".join(line if len(line) <= TEXT_MAX else line[: TEXT_MAX - 1] + "…" for line in text.split("\n"))
