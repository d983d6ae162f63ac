"""What the demonstration shows: the same snapshot as a page and as a line, and its closing words."""

import io
from pathlib import Path

from rich.console import Console, RenderableType

from streams.demo.closing import abbreviated, cut, events
from streams.demo.expected import AlertEvent, Series
from streams.demo.screen import LineScreen, LiveScreen, screen_for
from streams.demo.script import Schedule
from streams.demo.view import Rate, Snapshot, line, page

SERIES = Series("wrong-parameters", "refund", "executor/update_crm", "ParameterValidation")
BODY = {"status": "firing", "rule": {"uid": "wrong-parameters"}, "exemplars": [{"trace_id": "a"}, {"trace_id": "b"}]}
EVENT = AlertEvent(SERIES, "firing", {"ce_time": "2026-11-24T10:20:30Z", "ce_id": "k:1:0"}, BODY)
SNAPSHOT = Snapshot(
    at_s=62.4,
    phase="broken",
    emitted=18_720,
    spans_per_s=301.2,
    stored=18_400,
    decided=1_150,
    open_windows=31,
    lag=4,
    rates={("refund", "executor/update_crm"): {"ParameterValidation": Rate(80, 72), "ToolCallSuccess": Rate(80, 0)}},
    alerts=(EVENT,),
)


def printed(what: RenderableType, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_shows_throughput_rates_windows_lag_and_alerts() -> None:
    shown = printed(page(SNAPSHOT, Schedule()))
    for word in ("BROKEN", "18,720", "301", "31", "executor/update_crm", "90.0%", "0.0%", "FIRING", "10:20:30"):
        assert word in shown


def test_a_page_fits_a_small_terminal_whole_and_lists_the_worst_steps() -> None:
    rates = {("refund", f"executor/a_long_tool_{n:02}"): {"ToolCallSuccess": Rate(100, n)} for n in range(30)}
    for alerts in ((), (EVENT,) * 4):
        shown = printed(page(SNAPSHOT._replace(rates=rates, alerts=alerts), Schedule(), height=24), width=80)
        assert len(shown.splitlines()) <= 24
        assert "a_long_tool_29" in shown
        assert "a_long_tool_00" not in shown
        assert "worst of 30 steps" in shown
        assert shown.splitlines()[-1].startswith("╰")


def test_the_line_says_the_same_in_plain_text_and_names_what_fails() -> None:
    said = line(SNAPSHOT)
    assert said.startswith("01:02 broken: 18,720 spans sent")
    assert said.endswith("failing: refund executor/update_crm ParameterValidation 90%")
    assert "lag ?" in line(SNAPSHOT._replace(lag=None))


def test_a_pipe_gets_lines_every_few_seconds_and_alerts_at_once() -> None:
    console = Console(file=io.StringIO(), width=40)
    with screen_for(console, Schedule()) as screen:
        assert isinstance(screen, LineScreen)
        for at_s in (0.0, 1.0, 2.0, 5.5):
            screen.show(SNAPSHOT._replace(at_s=at_s), [EVENT] if at_s == 1.0 else [])
    assert isinstance(console.file, io.StringIO)
    heads = [said[:12] for said in console.file.getvalue().splitlines()]
    assert heads == ["00:00 broken", "ALERT firing", "00:05 broken"]


def test_a_terminal_gets_the_live_page() -> None:
    console = Console(file=io.StringIO(), width=110, force_terminal=True)
    with screen_for(console, Schedule()) as screen:
        assert isinstance(screen, LiveScreen)
        screen.show(SNAPSHOT, [])
    assert isinstance(console.file, io.StringIO)
    assert "BROKEN" in console.file.getvalue()


def test_the_picture_is_the_page_as_it_was_last_while_broken(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=110)
    with screen_for(console, Schedule(), tmp_path / "new" / "page.svg") as screen:
        screen.show(SNAPSHOT, [])
        screen.show(SNAPSHOT._replace(phase="repaired"), [])
    drawn = (tmp_path / "new" / "page.svg").read_text()
    assert "BROKEN" in drawn
    assert "REPAIRED" not in drawn
    assert "url(" not in drawn.replace("url(#", "")
    assert "font-face" not in drawn


def test_events_are_printed_as_published_with_long_lists_cut() -> None:
    assert abbreviated(BODY)["exemplars"] == [{"trace_id": "a"}, "... 1 more"]
    shown = printed(events([EVENT]))
    assert "ce_id: k:1:0" in shown
    assert '"uid": "wrong-parameters"' in shown


def test_long_values_are_cut_line_by_line() -> None:
    assert cut("a" * 300 + "\nb").endswith("…\nb")
    assert cut("short") == "short"
