"""`stepwatch explain`: the tree of one trajectory, and finding it."""

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from schemas.registry import EMPTY, parse_registry
from streams.console.tree import Look, cut, spell_ns, tree
from streams.core.assemble import assemble
from streams.offline import score
from streams.spool import TraceSpool
from tests.builders import llm_span, root_span, span, tool_span, trace_id

EXAMPLES = Path(__file__).parents[2] / "infra" / "examples"
TRACES = EXAMPLES / "demo-traces.jsonl"
KNOWN = ("--workflows", EXAMPLES / "workflows.yaml", "--expectations", EXAMPLES / "expectations.jsonl")
WHOLE = Look()
FAILING = "c5fe3363bc8eb25027593e1d82782428"


def page(*spans, look=WHOLE, width=120, terminal=False, registry=EMPTY):
    with TraceSpool() as spool:
        for one in spans:
            spool.add(one)
        (row,) = score(spool, registry, {}, 0)
    trajectory = assemble(("default", trace_id()), list(spans), registry, {}, "marker")
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, highlight=False)
    console.print(tree(trajectory, row, look))
    return console.file.getvalue()


RUN = (
    root_span(agent="boss"),
    llm_span(1, "I look it up", at_ms=10),
    tool_span(2, "look", {"id": "A-1"}, {"found": True}, at_ms=20),
    span(3, kind="agent", agent="helper", at_ms=100, took_ms=900),
    tool_span(4, "pay", {"amount": 3}, {"error": "500"}, at_ms=200, parent=3, agent="helper"),
)


def test_steps_hang_below_their_parents_in_the_order_of_the_trajectory():
    found = re.findall(r"^([│├└─ ]*)([✓✗·] \S+)  (?:agent|llm|tool_call),", page(*RUN), re.MULTILINE)
    assert [(len(guide) // 4, label) for guide, label in found] == [
        (0, "· boss"),
        (1, "· executor/llm"),
        (1, "✓ executor/look"),
        (1, "✓ helper"),
        (2, "✗ helper/pay"),
    ]


def test_what_went_in_and_came_out_is_shown_with_the_verdicts():
    said = page(*RUN)
    for expected in ('→ {"id":"A-1"}', '← {"error":"500"}', "» I look it up", "✗ ToolCallSuccess 0.00  swallowed"):
        assert expected in said
    assert "50 ms, at +200 ms" in said


def test_every_result_is_shown_once():
    said = page(*RUN)
    assert len(re.findall(r"[✓✗·!] ToolCallSuccess[ ,]", said)) == 2  # two calls; others only name it in their reasons


def test_only_failures_and_what_they_hang_below():
    said = page(*RUN, look=Look(fails_only=True))
    assert "helper/pay" in said and "boss" in said
    assert "executor/look" not in said and "2 steps without a failure are not shown" in said


def test_content_can_be_left_out():
    assert "A-1" not in page(*RUN, look=Look(chars=0))


def test_ascii_terminals_get_ascii_signs():
    said = page(*RUN, look=Look(ascii_only=True))
    assert "x helper/pay" in said and "✗" not in said


def test_colours_are_for_terminals_alone():
    assert "\x1b[" in page(*RUN, terminal=True)
    assert "\x1b[" not in page(*RUN)


def test_what_a_producer_wrote_is_neither_markup_nor_control():
    said = page(root_span(agent="[red]x[/]\x1b[2J"), tool_span(1, "[bold]t", "\x1b]0;title\x07", "[/]"))
    assert "[red]x[/]" in said and "[bold]t" in said
    assert "\x1b" not in said and "\x07" not in said


def test_a_chain_of_steps_deeper_than_any_terminal_is_shown():
    spans = [root_span()] + [span(n, kind="agent", agent=f"a{n}", parent=n - 1) for n in range(1, 150)]
    assert "a149" in page(*spans, width=100)


def test_a_trajectory_without_steps_is_shown():
    assert "0 steps" in page(span(1, kind="internal", parent=None))


def test_a_run_outside_the_sample_is_shown_and_said_to_be_not_judged():
    nobody = parse_registry("defaults: {sample: 0.0}", "w.yaml")
    said = page(*RUN, registry=nobody)
    assert "not judged: it is outside the sample" in said and "helper/pay" in said


@pytest.mark.parametrize(
    ("text", "chars", "expected"),
    [("short", 10, "short"), ("a\nb\t c", 10, "a b c"), ("x" * 30, 10, "x" * 10 + "… (30 characters)")],
)
def test_long_texts_are_cut_and_say_how_long_they_are(text, chars, expected):
    assert cut(text, chars) == expected


@pytest.mark.parametrize(
    ("ns", "expected"), [(0, "0 ms"), (50_000_000, "50 ms"), (1_500_000_000, "1.50 s"), (90_000_000_000, "1 min 30 s")]
)
def test_durations(ns, expected):
    assert spell_ns(ns) == expected


def test_without_an_id_the_first_trace_that_fails_is_shown_and_the_others_named(run):
    done = run("explain", TRACES, *KNOWN)
    assert done.returncode == 0
    assert FAILING in done.stdout.splitlines()[0]
    assert "2 of 12 trajectories have a failure; the next: a3a7a1a51045" in done.stdout
    assert not [line for line in done.stdout.splitlines() if line != line.rstrip()]


@pytest.mark.parametrize("said", [FAILING, FAILING[:6], FAILING.upper()])
def test_an_id_or_its_beginning_finds_the_trace(run, said):
    assert FAILING in run("explain", TRACES, "--trace", said).stdout.splitlines()[0]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("8", "which one? 8364650b17999984d36341ebb5161ce0, 81ba07e6"),
        ("ff", "no trace of these files begins so"),
        ("", "an id is needed"),
    ],
)
def test_an_id_that_names_no_single_trace_is_told(run, said, told):
    done = run("explain", TRACES, "--trace", said)
    assert done.returncode == 1 and told in done.stderr


def test_the_list_has_a_line_for_each_trace_and_where_it_first_fails(run):
    lines = run("explain", TRACES, *KNOWN, "--list").stdout.splitlines()
    assert len(lines) == 13
    (line,) = (line for line in lines if line.startswith(FAILING))
    assert "executor/update_crm, ParameterValidation, unexpected_argument" in line


def test_where_nothing_fails_that_is_said(run, tmp_path):
    fine = tmp_path / "fine.jsonl"
    exports = [line for line in TRACES.read_text().splitlines() if FAILING not in line and "a3a7a1a51045" not in line]
    fine.write_text("\n".join(exports))
    assert json.loads(exports[0])
    assert "none of 10 trajectories has a failure" in run("explain", fine, "--workflows", KNOWN[1]).stdout


def test_what_could_not_be_read_is_told_by_the_exit_code_too(run, tmp_path):
    torn = tmp_path / "torn.jsonl"
    torn.write_bytes(b'{"resourceSpans": 7}\n' + TRACES.read_bytes())
    done = run("explain", torn, "--trace", FAILING)
    assert (done.returncode, FAILING in done.stdout) == (1, True)
    assert "torn.jsonl:1" in done.stderr
