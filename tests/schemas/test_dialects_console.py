"""`stepwatch dialects`: what it says of a span is what decode does with it."""

from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from typer.testing import CliRunner, Result

from schemas.dialects import DIALECTS
from schemas.dialects.explained import BY_NAME, explain
from schemas.otlp import pack
from schemas.span import RawSpan
from streams.console.main import build
from tests.otlp_logs import log
from tests.schemas.dialect_spans import ERROR, raw
from tests.shared import shared


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build(), ["dialects", *map(str, arguments)])


def written(path: Path, *spans: RawSpan) -> Path:
    """A file of these spans, an id of its own each."""
    message = ExportTraceServiceRequest()
    for number, one in enumerate(spans, 1):
        scoped = message.resource_spans.add().scope_spans.add(scope=InstrumentationScope.FromString(one.scope))
        span = OtlpSpan.FromString(one.span)
        span.span_id = number.to_bytes(8, "big")
        scoped.spans.append(span)
    path.write_bytes(message.SerializeToString())
    return path


PAY = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay", "gen_ai.agent.name": "executor"}


def test_a_span_is_explained_by_dialect_rule_and_keys() -> None:
    found = explain(raw(PAY))
    assert (found.dialect, found.rule, found.agent_from, found.tool_from, found.unknown) == (
        "genai", "5: tool name", "gen_ai.agent.name", "gen_ai.tool.name", False,
    )  # fmt: skip


def test_a_name_that_no_attribute_holds_is_explained_by_the_spans_name() -> None:
    found = explain(raw({"mcp.method.name": "tools/call"}, name="tools/call pay"))
    assert (found.reading.tool, found.tool_from) == ("pay", BY_NAME)


def test_a_file_is_explained_span_by_span(tmp_path: Path) -> None:
    said = run(written(tmp_path / "spans.bin", raw(PAY, status=ERROR), raw({}, scope="httpx"), raw({}, scope="httpx")))
    assert said.exit_code == 0, said.output
    assert "a span  tool_call [genai 5: tool name]  failed [E1] boom" in said.output
    assert "agent executor [gen_ai.agent.name]  tool pay [gen_ai.tool.name]" in said.output
    assert "2 httpx" in said.output, "unknown producers are counted by scope"


def test_log_records_are_joined_and_those_that_find_no_span_are_counted(tmp_path: Path) -> None:
    spans = written(tmp_path / "spans.bin", raw(PAY))
    trace = OtlpSpan.FromString(raw(PAY).span).trace_id
    told = {"gen_ai.tool.call.result": "Error: no such account"}
    logs = [log("gen_ai.tool.details", told, n=n, trace_id=trace) for n in (1, 7)]
    (tmp_path / "logs.bin").write_bytes(pack(logs))
    said = run(spans, tmp_path / "logs.bin")
    assert said.exit_code == 0, said.output
    assert "failed, swallowed [E6] Error: no such account" in said.output
    assert "tool pay [gen_ai.tool.name]  log records: 1" in said.output
    assert "2 gen_ai.tool.details" in said.output
    assert "1 of them name a span that is not in these files" in said.output


def test_what_named_the_workflow_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "spans.bin", raw({**PAY, "gen_ai.workflow.name": "shop", "desk": "till 7"}))
    assert "workflow shop [" in run(path).output
    registry = tmp_path / "workflows.yaml"
    registry.write_text('workflow_names: [{workflow: "{desk}", span: {desk: "till*"}}]')
    assert "workflow till 7 [workflow_names[0]: span desk=till 7], " in run(path, "--workflows", registry).output


def test_structure_is_shown_when_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path / "spans.bin", raw(PAY), raw({}, name="GET", scope="httpx"))
    assert "GET" not in run(path).output
    assert ". GET  internal [generic 10: no marker]" in run(path, "--structure").output


def test_what_is_no_span_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    good = '{"traceId":"' + "a" * 32 + '","spanId":"' + "b" * 16 + '","name":"x"}'
    path.write_text(f'{good}\n{{"traceId":"12","spanId":"34"}}\nno json\n')
    said = run(path)
    assert said.exit_code == 1
    assert "1 generic" in said.output
    assert "2 parts of the input are no spans" in said.output


def test_the_help_says_what_it_is_for_and_how_to_read_it() -> None:
    said = run("--help").output
    for word in ("which dialect and which rule", "no dialect", "--structure"):
        assert " ".join(word.split()) in " ".join(said.replace("│", " ").split())


@pytest.mark.parametrize("name", ["langgraph-traceai", "pydantic-ai-mcp", "google-adk-legacy", "autogen-native"])
def test_a_recorded_run_is_explained(name: str) -> None:
    said = run(shared(f"data/spans/{name}.jsonl"))
    assert said.exit_code == 0, said.output
    assert any(dialect.NAME in said.output for dialect in DIALECTS)
    assert "update_crm" in said.output
