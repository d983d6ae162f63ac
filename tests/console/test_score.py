"""`stepwatch score` as it is run: formats, gates, exit codes, and the same rows whatever the order of spans."""

import csv
import gzip
import json
import random
from pathlib import Path

import pytest

from schemas.registry import EMPTY
from streams.offline import SkipList, read_items, result_rows, score
from streams.otlp_files import exports_of
from streams.registry_file import read_registry
from streams.spool import TraceSpool

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "infra" / "examples"
TRACES = EXAMPLES / "demo-traces.jsonl"
REGISTRY = ("--workflows", EXAMPLES / "workflows.yaml")


def rows_of(path, memory_bytes, registry=EMPTY):
    records = ((str(path), line, record) for line, record in exports_of(path))
    with TraceSpool(memory_bytes) as spool:
        for span in read_items(records, 0, SkipList()):
            spool.add(span)
        return [row for trace in score(spool, registry, {}, 0) for row in result_rows(trace)]


def by_trace(rows):
    """The results of each trace, in their order."""
    found = {}
    for row in rows:
        found.setdefault(row["trace_id"], []).append(row)
    return found


def scattered(path, seed):
    """The example's spans, each in an export of its own, in any order: traces interleave and come back late."""
    exports = []
    for line in TRACES.read_text().splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                exports += [{**resource, "scopeSpans": [{**scope, "spans": [span]}]} for span in scope["spans"]]
    random.Random(seed).shuffle(exports)
    path.write_text("".join(json.dumps({"resourceSpans": [export]}) + "\n" for export in exports))
    return path


@pytest.mark.parametrize("memory_bytes", [1 << 30, 20_000])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_rows_are_the_same_whatever_the_order_of_spans_and_the_room_in_memory(tmp_path, seed, memory_bytes):
    registry = read_registry(EXAMPLES / "workflows.yaml")
    as_recorded = rows_of(TRACES, 1 << 30, registry)
    assert len(as_recorded) > 100
    assert by_trace(rows_of(scattered(tmp_path / "t.jsonl", seed), memory_bytes, registry)) == by_trace(as_recorded)


CONTENT = ("gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.input.messages", "gen_ai.output.messages")
LINE = {"timeUnixNano": "1", "body": {"stringValue": "a line of the application"}}


def with_content_in_logs(path):
    """The example as an instrumentor exports it that captures content as events: no span holds any."""
    lines, moved = [], 0
    for line in TRACES.read_text().splitlines():
        document = json.loads(line)
        logs = []
        for span in (s for r in document["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]):
            content = [a for a in span["attributes"] if a["key"] in CONTENT]
            span["attributes"] = [a for a in span["attributes"] if a["key"] not in CONTENT]
            name = "gen_ai.client.inference.operation.details"
            ids = {"traceId": span["traceId"], "spanId": span["spanId"], "timeUnixNano": span["startTimeUnixNano"]}
            logs += [{**ids, "eventName": name, "attributes": content}] if content else []
            moved += len(content)
        frame = {"resource": document["resourceSpans"][0]["resource"], "scopeLogs": [{"logRecords": [LINE, *logs]}]}
        lines += [json.dumps({"resourceLogs": [frame]}), json.dumps(document)]
    assert moved > 100
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("memory_bytes", [1 << 30, 20_000])
def test_content_in_log_records_is_judged_as_content_in_spans(tmp_path, memory_bytes):
    registry = read_registry(EXAMPLES / "workflows.yaml")
    path = with_content_in_logs(tmp_path / "t.jsonl")
    assert by_trace(rows_of(path, memory_bytes, registry)) == by_trace(rows_of(TRACES, 1 << 30, registry))


def test_log_lines_without_content_are_told_and_are_no_fault(run, tmp_path):
    done = run("score", with_content_in_logs(tmp_path / "t.jsonl"), *REGISTRY)
    assert done.returncode == 0
    assert "12 log records hold no content of a span" in done.stderr


def test_log_records_without_their_spans_make_no_run(run, tmp_path):
    path = with_content_in_logs(tmp_path / "t.jsonl")
    path.write_text("".join(line + "\n" for line in path.read_text().splitlines() if "resourceLogs" in line))
    done = run("score", path)
    assert (done.returncode, done.stdout) == (0, "")
    explained = run("explain", path, "--trace", "a")
    assert explained.returncode == 1 and "Traceback" not in explained.stderr


def test_rules_name_the_workflows_offline_too(run, tmp_path):
    registry = tmp_path / "workflows.yaml"
    registry.write_text('workflow_names: [{workflow: "of {service.name}", resource: {service.name: "*"}}]')
    rows = [json.loads(line) for line in run("score", TRACES, "--workflows", registry).stdout.splitlines()]
    assert {row["workflow"].split()[0] for row in rows} == {"of"}
    assert "workflow of " not in run("explain", TRACES, "--workflows", registry).stderr
    assert run("explain", TRACES, "--workflows", registry).stdout.startswith("of ")


def test_json_lines_csv_and_table_say_the_same(run, tmp_path):
    said = {}
    for form in ("jsonl", "csv", "table"):
        out = tmp_path / form
        assert run("score", TRACES, *REGISTRY, "--format", form, "--out", out).returncode == 0
        said[form] = out.read_text()
    rows = [json.loads(line) for line in said["jsonl"].splitlines()]
    cells = list(csv.DictReader(said["csv"].splitlines()))
    assert [(r["trace_id"], r["evaluator"], r["verdict"]) for r in rows] == [
        (c["trace_id"], c["evaluator"], c["verdict"]) for c in cells
    ]
    assert list(cells[0]) == list(rows[0])
    assert len(said["table"].splitlines()) == len(rows) + 1
    assert "\x1b" not in said["table"]


def test_chosen_evaluators_say_what_they_say_among_all_of_them(run):
    whole = [json.loads(line) for line in run("score", TRACES, *REGISTRY).stdout.splitlines()]
    some = run("score", TRACES, *REGISTRY, "--evaluators", "TrajectoryScore, ToolCallSuccess").stdout.splitlines()
    wanted = [row for row in whole if row["evaluator"] in ("TrajectoryScore", "ToolCallSuccess")]
    assert [json.loads(line) for line in some] == wanted != []


def test_a_compressed_file_is_the_same_file(run, tmp_path):
    packed = tmp_path / "traces.jsonl.gz"
    packed.write_bytes(gzip.compress(TRACES.read_bytes()))
    assert run("score", packed).stdout == run("score", TRACES).stdout


@pytest.mark.parametrize(
    ("gates", "code", "said"),
    [
        (["ParameterValidation=0.9"], 0, ""),
        (["ParameterValidation=0.99"], 4, "gate shut: ParameterValidation is at 0.958, under 0.99: 46 of 48 passed"),
        (["ParameterValidation=0.9", "ToolCallSuccess=1"], 4, "gate shut: ToolCallSuccess is at"),
        (["Kindness=0.5"], 1, "no evaluator is called"),
        (["GoalProgress=0"], 4, "gate shut: GoalProgress judged nothing"),
        (["ParameterValidation"], 1, "--fail-under ParameterValidation: write NAME=SHARE"),
        (["ParameterValidation=1.5"], 1, "write NAME=SHARE with a share from 0 to 1"),
        (["parametervalidation=0.5"], 1, "did you mean ParameterValidation?"),
    ],
)
def test_gates(run, gates, code, said):
    done = run("score", TRACES, *REGISTRY, *(part for gate in gates for part in ("--fail-under", gate)))
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    if code != 1:
        assert len(done.stdout.splitlines()) > 100  # the results are there whatever the gates say


def test_a_gate_over_an_evaluator_that_was_not_chosen_is_refused(run):
    done = run("score", TRACES, "--evaluators", "ToolCallSuccess", "--fail-under", "IterationCap=1")
    assert done.returncode == 1 and "it is not among --evaluators" in done.stderr


def test_the_summary_counts_each_evaluator_under_its_workflow_and_step(run):
    said = run("score", TRACES, *REGISTRY).stderr
    assert said.startswith("12 trajectories, ")
    block = said.split("executor/update_crm")[1]
    assert block.split("ParameterValidation")[1].split()[:6] == ["1", "2", "0", "0", "66.7%", "0.333"]


def test_what_is_no_span_is_told_and_its_neighbours_are_scored(run, tmp_path):
    broken = tmp_path / "t.jsonl"
    broken.write_text(TRACES.read_text() + '{"resourceSpans": 3}\n{"resourceSpans": [\n')
    done = run("score", broken)
    assert done.returncode == 1
    assert f"{broken}:13: " in done.stderr and f"{broken}:14: " in done.stderr
    assert done.stdout == run("score", TRACES).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.jsonl"], "none.jsonl: cannot be read"),
        ([TRACES, "--evaluators", "ToolCallSucces"], "did you mean ToolCallSuccess?"),
        ([TRACES, "--evaluators", ","], "name at least one"),
        ([TRACES, "--out", "no/such/folder/x"], "no/such/folder/x: No such file or directory"),
        ([TRACES, "--expectations", "none.jsonl"], "none.jsonl: cannot be read"),
        ([TRACES, "--workflows", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_a_slip_is_one_clear_sentence(run, arguments, said):
    done = run("score", *arguments)
    assert done.returncode == 1
    assert said in done.stderr and "Traceback" not in done.stderr
