"""A scenario as it is written down in `cases/*.yaml`. The name of the file is the name of its workflow.

Strict: an unknown key is an error with file and line. `phases` follow each other; the runs of a phase are spread evenly
over its seconds. `fires` lists every series that must fire, in any order: what is not listed must stay quiet.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from schemas.config import Declared, read_yaml, validate

FOLDER = Path(__file__).parent
CASES = FOLDER / "cases"
RULES = FOLDER / "rules.yaml"
TENANT = "default"

Share = Annotated[float, Field(ge=0, le=1)]
Kind = Literal[
    "missing_argument",  # a call leaves its first argument out; the tool does not mind
    "swallowed_error",  # the tool's error comes back as a result, and the agent goes on as if all were well
    "tool_error",  # the tool fails in the open, again and again, and the agent says that it could not be done
    "timeout_once",  # the tool times out, and the next attempt works
    "retry_storm",  # the tool fails a hundred times before it works
    "slow_tool",  # the tool takes three seconds longer than its budget
    "mute_verifier",  # the verifier says nothing that is a verdict
    "handoff_loop",  # two agents hand the work to each other and do nothing
]


class Fault(Declared):
    """What goes wrong, in which runs."""

    kind: Kind
    tool: str = ""
    share: Share = 1.0  # of the runs that it could strike
    grows_to: Share | None = None  # evenly over the phase: the share at its end
    runs: int | None = None  # only so many, the first ones
    release: str = ""  # only runs of this release
    tenant: str = ""  # only runs of this tenant


class Phase(Declared):
    """A while in which one thing is the case."""

    runs: Annotated[int, Field(ge=0)]
    seconds: Annotated[float, Field(gt=0)]
    releases: list[str] = Field(default_factory=lambda: ["1.0"])  # each run has one of them, by chance
    faults: list[Fault] = Field(default_factory=list)


class Fires(Declared):
    """One series that must fire, and what its events must say."""

    rule: str
    step: str
    evaluator: str
    tenant: str = TENANT
    opens: Literal["firing", "no_data"] = "firing"
    bad: list[Kind] = Field(default_factory=list)  # the runs that are bad to it; what else went wrong is not
    rate: Annotated[list[Share], Field(min_length=2, max_length=2)] = Field(
        default_factory=lambda: [0.0, 1.0]
    )  # as told
    onset_s: float = 16.0  # how late the onset may be told: a bucket, and what a run takes to be decided
    resolved: list[str] = Field(default_factory=lambda: ["recovered"])  # the reason of each episode's end
    cause: dict[str, str] | list[dict[str, str]] = Field(default_factory=dict)  # to be named first; or one an episode

    def cause_of(self, episode: int) -> dict[str, str]:
        """What attribution must name first in the episode of this number."""
        return self.cause[episode] if isinstance(self.cause, list) else self.cause


class Late(Declared):
    """Calls of a tool that come long after their run was decided."""

    tool: str
    seconds: float
    only_retries: bool = False  # only those that come after a call that failed


class Stored(Declared):
    """What the store says in the end of a step: so many runs, at the least, with this verdict."""

    step: str
    evaluator: str
    verdict: Literal["pass", "fail"]
    runs: int


class Day(Declared):
    """Instead of phases: a day of outcomes of one tool-calling workflow, written with the times that they would have had."""

    steps: list[str]  # tools of the executor
    per_minute: Annotated[float, Field(gt=0, le=100)]  # runs, on average: more by day than by night
    fail_rate: Share  # of each step
    broken_from_h: float = 24.0  # the first step breaks
    broken_until_h: float = 24.0
    broken_rate: Share = 0.0


class Scenario(Declared):
    """One file."""

    about: str
    seed: int
    play: Literal["refund", "triage", "subscription"] = "refund"
    short: bool = False  # one of those that every test run plays
    phases: list[Phase] = Field(default_factory=list)
    day: Day | None = None
    tenants: list[str] = Field(default_factory=lambda: [TENANT])  # each has all of the runs
    handoffs: bool = False  # the executor hands the result to a clerk, who hands it back
    twice: bool = False  # every export is sent again
    shuffled: bool = False  # spans leave in any order, up to a second late
    late: Late | None = None
    fires: list[Fires] = Field(default_factory=list)
    stored: list[Stored] = Field(default_factory=list)
    rows: dict[str, int] = Field(
        default_factory=dict
    )  # "step evaluator verdict" in the store in the end: at least so many

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return sum(phase.seconds for phase in self.phases)


def read(path: Path) -> Scenario:
    """The scenario of a file. Raises ConfigError with file, line and cure."""
    text = path.read_text(encoding="utf-8")
    data, line_of = read_yaml(text, path.name)
    return validate(Scenario, data, path.name, line_of)


def read_all(names: list[str] | None = None, *, short: bool = False) -> dict[str, Scenario]:
    """The scenarios of these names, or all, or the short ones; by name."""
    found = {path.stem: read(path) for path in sorted(CASES.glob("*.yaml"))}
    if names:
        unknown = set(names) - set(found)
        assert not unknown, f"no such scenarios: {sorted(unknown)}; there are {', '.join(found)}"
        found = {name: found[name] for name in names}
    return {name: scenario for name, scenario in found.items() if scenario.short or not short}
