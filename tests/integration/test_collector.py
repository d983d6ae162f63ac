"""The Collector that we ship a configuration for, a real one: what real SDKs send through it is judged whole, or named.

`make collector` builds it; without it these tests skip. Tried with the Collector 0.165.0.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from schemas.otlp import split, trace_id_of
from schemas.partition import partition_of_trace
from streams.local.stack import LocalStack
from tests.integration.conftest import NewStack
from tests.integration.pipeline import FAST, query, records_of, run, until
from tests.ports import free_port

PROJECT = Path(__file__).parents[2]
BINARY = Path(os.environ.get("STEPWATCH_COLLECTOR") or PROJECT / ".collector/otelcol-stepwatch")
SHIPPED = PROJECT / "infra/collector/collector.yaml"
RUNS, CALLS = 40, 3
SOON = {"STEPWATCH_ABANDON_AFTER_MS": "5000"}  # parts of runs without their root

pytestmark = pytest.mark.skipif(
    not BINARY.exists(), reason="no Collector is here: `make collector` builds one (needs Go)"
)


@asynccontextmanager
async def collector(stack: LocalStack, config: Path, folder: Path) -> AsyncIterator[str]:
    """A Collector in front of the stack's broker; the address for OTLP over HTTP."""
    http, grpc = free_port(), free_port()
    environment = {
        **os.environ,
        "STEPWATCH_BOOTSTRAP_SERVERS": stack.settings.bootstrap_servers,
        "STEPWATCH_OTLP_HTTP": f"127.0.0.1:{http}",
        "STEPWATCH_OTLP_GRPC": f"127.0.0.1:{grpc}",
        "STEPWATCH_COLLECTOR_QUEUE": str(folder / "queue"),
    }
    log = folder / "collector.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            BINARY, "--config", config, env=environment, stdout=out, stderr=out
        )
    try:
        await _listening(f"http://127.0.0.1:{http}/v1/traces", process, log)
        yield f"http://127.0.0.1:{http}"
    finally:
        process.terminate()
        await process.wait()


async def _listening(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(200):
            assert process.returncode is None, log.read_text()[-2000:]
            try:
                async with session.post(url, data=b"", headers={"Content-Type": "application/x-protobuf"}):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    pytest.fail(f"the Collector does not listen: {log.read_text()[-2000:]}")


def tell_runs(url: str) -> None:
    """Runs of a cashier as the real SDK tells them: every span in a request of its own, the root last."""
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    tracer = trace.get_tracer("agents", tracer_provider=provider)
    for _ in range(RUNS):
        root = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "cashier"}
        with tracer.start_as_current_span("invoke_agent cashier", attributes=root):
            for call in range(CALLS):
                said = {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": "pay",
                    "gen_ai.tool.call.id": f"c{call}",
                }
                with tracer.start_as_current_span("execute_tool pay", attributes=said):
                    pass
    provider.shutdown()


async def test_with_the_shipped_configuration_every_run_is_whole_and_where_our_packer_would_put_it(
    new_stack: NewStack, tmp_path: Path
) -> None:
    stack = await new_stack(parts={"broker", "clickhouse", "scorer"}, environment=FAST)
    async with collector(stack, SHIPPED, tmp_path) as url:
        await asyncio.to_thread(tell_runs, url)
        await until(stack, "SELECT count(), sum(n_items) FROM trajectories FINAL WHERE state = 'decided'", [40, 160])
    partitions = stack.settings.spans_partitions
    for record in await records_of(stack.settings, "otlp_spans"):
        for raw in split(record.value):
            assert record.partition == partition_of_trace(trace_id_of(raw.span), partitions, "sarama")
    assert query(stack, "SELECT min(n_steps), max(n_steps), min(n_tool_calls) FROM trajectories FINAL") == [(4, 4, 3)]
    assert "another partition" not in (stack.data_dir / "logs/scorer.log").read_text()


async def test_a_collector_that_does_not_place_by_trace_is_named_with_the_setting_that_cures_it(
    new_stack: NewStack, tmp_path: Path
) -> None:
    config = yaml.safe_load(SHIPPED.read_text())
    config["exporters"]["kafka"]["partition_traces_by_id"] = False
    wrong = tmp_path / "collector.yaml"
    wrong.write_text(yaml.safe_dump(config))
    stack = await new_stack(parts={"broker", "clickhouse", "scorer"}, environment={**FAST, **SOON})
    async with collector(stack, wrong, tmp_path) as url:
        await asyncio.to_thread(tell_runs, url)
        await until(stack, "SELECT uniqExact(trace_id, span_id) FROM spans", [160])
        said = await _said(stack)
    assert "partition_traces_by_id: true" in said
    await until(stack, "SELECT countIf(state = 'open') FROM trajectories FINAL", [0])
    await until(stack, "SELECT uniqExact(trace_id) FROM published", [40])
    await run(stack, "backfill", "--from", "1h", "--again")
    await until(stack, "SELECT count(), sum(n_items) FROM trajectories FINAL WHERE state = 'decided'", [40, 160])


async def _said(stack: LocalStack) -> str:
    """What the scorer logged, once it has told of misplaced traces; all of it after half a minute."""
    log = stack.data_dir / "logs/scorer.log"
    for _ in range(100):
        if "another partition" in log.read_text():
            break
        await asyncio.sleep(0.3)
    return log.read_text()
