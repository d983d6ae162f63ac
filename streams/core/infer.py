"""What recorded runs show of their workflows: the tools called and offered, their arguments, how long things took.

A fold over trajectories; their order does not matter. `streams.core.draft` writes it down as a registry.
"""

from collections import Counter
from collections.abc import Mapping
from math import ceil, log
from typing import Any

from schemas.shape import Shape
from schemas.span import StepKind
from schemas.tools import offered_tools
from schemas.trajectory import Step, Trajectory
from streams.core.guess import Calls

WORKFLOWS_MAX = 100
TOOLS_MAX = 200  # of one workflow
AGENTS_MAX = 50
CALLS: frozenset[StepKind] = frozenset({"tool_call", "retrieval"})
_GROWTH = log(1.02)  # a quantile is told to 2 %


class Quantiles:
    """Numbers above 0, counted in buckets that grow by 2 %."""

    def __init__(self) -> None:
        self.count = 0
        self.greatest = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, value: float) -> None:
        """One more."""
        self.count += 1
        self.greatest = max(self.greatest, value)
        self._buckets[ceil(log(max(value, 1e-3)) / _GROWTH)] += 1

    def at(self, share: float) -> float:
        """The number that this share does not exceed."""
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= share * self.count:
                return min(self.greatest, 1.02**bucket)
        return self.greatest


class SeenTool:
    """A tool, called or only offered."""

    def __init__(self) -> None:
        self.calls = self.executed = self.captured = 0
        self.arguments = Shape()  # of calls that did their work
        self.attempted = Shape()  # of those that did not
        self.took_ms = Quantiles()
        self.offered: Mapping[str, Any] | None = None  # the schema that models were given
        self.is_offered = self.hands_over = False
        self.repeated = self.runs = self.last = 0

    @property
    def way(self) -> Calls:
        """How it was called."""
        return Calls(self.executed, self.repeated, self.runs, self.last)


class SeenWorkflow:
    """All runs of one workflow."""

    def __init__(self) -> None:
        self.runs = 0
        self.agents: Counter[str] = Counter()
        self.tools: dict[str, SeenTool] = {}
        self.tools_left_out = False
        self.steps = Quantiles()
        self.took_ms = Quantiles()
        self.repeats = 0  # most equal calls of one run that did their work

    def see(self, trajectory: Trajectory) -> None:
        """One more run."""
        self.runs += 1
        run = int.from_bytes(trajectory.key.trace_id, "big")
        self.steps.add(len(trajectory.steps))
        if trajectory.root is not None:
            self.took_ms.add((trajectory.root.end_ns - trajectory.root.start_ns) / 1_000_000)
        done: Counter[bytes] = Counter()
        worked, last = set(), ""  # tools that did their work in this run, and the last that did
        for step in trajectory.steps:
            if step.agent and (step.agent in self.agents or len(self.agents) <= AGENTS_MAX):
                self.agents[step.agent] += 1
            if step.span.tool_definitions:
                self._see_offered(step.span.tool_definitions)
            if (name := _called(step)) and (tool := self._tool(name)):
                _see_call(tool, step, run)
                if step.call.executed:
                    worked.add(name)
                    last = name
                    if (key := step.call.key) is not None:
                        tool.repeated += key in done
                        done[key] += 1
        for name in worked:
            self.tools[name].runs += 1
            self.tools[name].last += name == last
        self.repeats = max(self.repeats, *done.values(), 0)

    def _see_offered(self, definitions: str) -> None:
        for name, offered in offered_tools(definitions).items():
            tool = self._tool(name)
            if tool is not None:
                tool.is_offered = True
                if offered.parameters is not None and offered.parameters is not tool.offered:
                    tool.offered = max((tool.offered or {}, offered.parameters), key=_extent)

    def _tool(self, name: str) -> SeenTool | None:
        if name not in self.tools and len(self.tools) >= TOOLS_MAX:
            self.tools_left_out = True
            return None
        return self.tools.setdefault(name, SeenTool())


class Draft:
    """All workflows that were seen."""

    def __init__(self) -> None:
        self.runs = 0
        self.workflows: dict[str, SeenWorkflow] = {}
        self.left_out = 0  # runs of workflows beyond the bound

    def see(self, trajectory: Trajectory) -> None:
        """One more run."""
        self.runs += 1
        name = trajectory.workflow_name
        if name not in self.workflows and len(self.workflows) >= WORKFLOWS_MAX:
            self.left_out += 1
            return
        self.workflows.setdefault(name, SeenWorkflow()).see(trajectory)


def _called(step: Step) -> str:
    """The tool that this step calls; "": none. A handoff calls one where it names it."""
    return step.call.name if step.kind in CALLS else step.span.tool if step.kind == "handoff" else ""


def _see_call(tool: SeenTool, step: Step, run: int) -> None:
    call = step.call
    tool.calls += 1
    tool.hands_over = tool.hands_over or step.kind == "handoff"
    tool.executed += call.executed
    tool.took_ms.add((step.span.end_ns - step.span.start_ns) / 1_000_000)
    if isinstance(call.arguments, dict):
        tool.captured += 1
        (tool.arguments if call.executed else tool.attempted).see(call.arguments, run)


def _extent(schema: Mapping[str, Any]) -> tuple[int, str]:
    """Of two schemas of one tool the one that declares more is taken, so that the order of runs does not matter."""
    text = str(schema)
    return len(text), text
