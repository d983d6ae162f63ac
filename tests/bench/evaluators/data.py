"""The recorded data, which stand beside the project: runs as assembled trajectories with their labels, and function cases.

Runs go the way of real traffic: the tool beside the data turns them into OTLP, our own code decodes and assembles them.
Labels are joined here, by trace id; no evaluator ever sees one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from schemas.decode import decode
from schemas.expectation import TaskTruth, parse_expectation
from schemas.registry import Registry, parse_registry
from schemas.span import Span
from schemas.topic_record import split_record
from schemas.trajectory import CloseReason, TraceKey, Trajectory
from streams.core.assemble import assemble

TENANT = "default"
RECEIVED_MS = 1_760_000_000_000
HELD_OUT_FROM = 35  # tasks before it were tuned on; the others are reported apart
Json = dict[str, Any]


def shared() -> Path:
    """The folder with data and tools: `STEPWATCH_SHARED`, or `../shared` beside the checkout. Exits where it is not."""
    root = Path(os.environ.get("STEPWATCH_SHARED") or Path(__file__).parents[4] / "shared")
    needed = ["data/tau-airline", "data/bfcl", "tools/tau_to_otlp.py", "tools/gen_traces.py"]
    absent = [path for path in needed if not (root / path).exists()]
    if absent:
        sys.exit(
            f"bench-evaluators measures on recorded data that are not here: {', '.join(absent)} below {root}. "
            "Set STEPWATCH_SHARED to the folder that holds data/ and tools/."
        )
    return root


def lines(path: Path) -> list[Json]:
    """The objects of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


class Run(NamedTuple):
    """One recorded run: what happened, what was expected, and whether it was a success."""

    id: str
    task: int  # number of its task: the cluster
    success: bool
    recorded: Json
    trajectory: Trajectory

    @property
    def held_out(self) -> bool:
        """Whether its task was left out of tuning."""
        return self.task >= HELD_OUT_FROM


class Recorded:
    """All recorded runs, with registry and truths; or other runs of the same tasks, with labels of their own."""

    def __init__(self, root: Path, others: Sequence[tuple[bool, Json]] | None = None) -> None:
        self.folder = root / "data/tau-airline"
        if others is None:
            labels = {line["id"]: line["success"] for line in lines(self.folder / "labels.jsonl")}
            others = [(labels[run["id"]], run) for run in lines(self.folder / "trajectories.jsonl")]
        self.recorded = {run["id"]: (label, run) for label, run in others}
        self.tasks: dict[str, Json] = {t["id"]: t for t in json.loads((self.folder / "tasks.json").read_text())}
        self.tools: list[Json] = [t["function"] for t in json.loads((self.folder / "tools.json").read_text())]
        with tempfile.TemporaryDirectory() as made:
            given, out = Path(made) / "runs", Path(made)
            given.mkdir()
            (given / "tasks.json").write_bytes((self.folder / "tasks.json").read_bytes())
            (given / "tools.json").write_bytes((self.folder / "tools.json").read_bytes())
            (given / "trajectories.jsonl").write_text("\n".join(json.dumps(run) for _, run in self.recorded.values()))
            command = [sys.executable, str(root / "tools/tau_to_otlp.py"), str(given), "--out", made]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            self.registry: Registry = parse_registry((out / "workflows.yaml").read_text(), "workflows.yaml")
            truths = (parse_expectation(json.dumps(e), "expectations", 1) for e in lines(out / "expectations.jsonl"))
            self.truths: dict[tuple[str, str], TaskTruth] = {(t.workflow, t.task_id): t for t in truths}
            self.run_of = {bytes.fromhex(r["trace_id"]): r["run_id"] for r in lines(out / "runs.jsonl")}
            self.spans = _spans(out / "traces.jsonl")

    @cached_property
    def runs(self) -> list[Run]:
        """The runs, in the order of their traces."""
        found = []
        for trajectory in self.assembled():
            label, run = self.recorded[self.run_of[trajectory.key.trace_id]]
            number = int(run["task_id"].rpartition("/")[2])
            found.append(Run(run["id"], number, label, run, trajectory))
        return found

    def assembled(self, closed: CloseReason = "root_ended") -> list[Trajectory]:
        """Every trace put together anew: nothing that an evaluator parsed before is kept."""
        return [
            assemble(TraceKey(TENANT, trace), spans, self.registry, self.truths, closed)
            for trace, spans in self.spans.items()
        ]

    def expects_write(self, task_id: str) -> bool:
        """Whether the task expects a change of a system of record."""
        task = self.tasks[task_id]
        return any(action["name"] in task["write_tools"] for action in task["expected_actions"])

    def share_done(self, run: Json) -> float | None:
        """Share of the task's expected actions that the run did, counted from the recording; None: none is expected."""
        wanted = Counter(_key(action) for action in self.tasks[run["task_id"]]["expected_actions"])
        done = Counter(_key(call) for said in run["steps"] for call in said["calls"] if not call["error"])
        return sum((wanted & done).values()) / sum(wanted.values()) if wanted else None


def _key(call: Json) -> str:
    return json.dumps([call["name"], call["arguments"]], sort_keys=True)


def _spans(traces: Path) -> dict[bytes, list[Span]]:
    found: dict[bytes, list[Span]] = {}
    with traces.open("rb") as exports:
        for export in exports:
            raws, refused = split_record(export)
            assert not refused, refused
            for raw in raws:
                span, _ = decode(raw, TENANT, RECEIVED_MS)
                found.setdefault(span.trace_id, []).append(span)
    return found


def while_open(trajectory: Trajectory, steps: int) -> Trajectory:
    """The run as it looked after so many of its steps: open, its root not yet there."""
    return replace(trajectory, steps=trajectory.steps[:steps], closed="", root=None, roots=())


def turns(trajectory: Trajectory) -> list[int]:
    """After how many steps each turn ended: a model call and the calls it made. The last one ends the run."""
    models = ("llm", "planner", "verifier")
    starts = [step.index for step in trajectory.steps if step.kind in models]
    return [*starts[1:], len(trajectory.steps)]
