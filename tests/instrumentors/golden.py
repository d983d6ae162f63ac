"""The goldens: what a pair exported, and the run that Stepwatch reads in it."""

from pathlib import Path

from schemas.decode import decode
from schemas.registry import EMPTY
from schemas.span import Span
from schemas.topic_record import split_record
from schemas.trajectory import TraceKey, Trajectory
from streams.core.assemble import assemble
from streams.otlp_files import exports_of
from tests.builders import EPOCH_MS

FOLDER = Path(__file__).parent / "goldens"


def golden(pair: str) -> Path:
    """Where the exports of a pair lie."""
    return FOLDER / f"{pair}.otlp.gz"


def trajectories(path: Path) -> list[Trajectory]:
    """The trajectories of a file that have steps, in the order of their first steps."""
    traces: dict[bytes, list[Span]] = {}
    for _, record in exports_of(path):
        for raw in split_record(record)[0]:
            span = decode(raw, "default", EPOCH_MS)[0]
            traces.setdefault(span.trace_id, []).append(span)
    found = [assemble(TraceKey("default", trace), spans, EMPTY, {}, "marker") for trace, spans in traces.items()]
    return sorted((one for one in found if one.steps), key=lambda one: one.steps[0].span.start_ns)
