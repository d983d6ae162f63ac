"""What changed at the onset of an alert: the causes that its failing runs point to. Values, and their JSON form.

A cause is either a *symptom* (what fails now and did not: a reason code at an agent's tool, one argument of it) or an
*attribute* (a release, a model, ... whose runs fail while the others do not). Ids, codes and names only, never span content
beyond argument names.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

Feature = Literal[
    "argument",  # a symptom: this argument is at fault; `reason_code` says how
    "reason_code",  # a symptom: the evaluator's code
    "release",  # service.version
    "config",  # config_seq that the run was judged under
    "evaluator_version",
    "model",
    "provider",
    "service",
    "agent",  # it takes part in the run
    "tool",  # it is called in the run
]
SYMPTOMS: tuple[Feature, ...] = ("argument", "reason_code")
# An agent or a tool that takes part may as well be what failing brings about (an escalation): it is told after the symptoms.
FOLLOWING: tuple[Feature, ...] = ("agent", "tool")
ATTRIBUTES: tuple[Feature, ...] = tuple(f for f in get_args(Feature) if f not in SYMPTOMS)


class Mark(NamedTuple):
    """One feature of one run, and where it is seen."""

    feature: Feature
    value: str
    agent: str = ""
    tool: str = ""
    evaluator: str = ""
    reason_code: str = ""


class Run(NamedTuple):
    """One run of an alert's series, as it is compared with the others."""

    trace_id: str  # hex
    at_ms: int  # client time at which it was seen to fail or not
    is_since: bool  # at or after the onset
    failed: bool
    marks: frozenset[Mark]


class Share(NamedTuple):
    """So many of so many runs."""

    k: int
    n: int

    @property
    def rate(self) -> float:
        """k of n; 0 of none."""
        return self.k / self.n if self.n else 0.0


class Cause(NamedTuple):
    """One explanation. Of a symptom the shares count runs that show it, of an attribute runs that have it and fail."""

    feature: Feature
    value: str
    agent: str  # where it is seen; "" for the run as a whole
    tool: str
    evaluator: str
    reason_code: str
    sentence: str
    since: Share  # since the onset
    before: Share  # before it
    elsewhere: Share | None  # attributes: failing runs without it, since the onset; None for symptoms
    explained: float  # share of the failing runs since the onset that have it
    confidence: float  # posterior probability, see streams.core.attribution
    traces: tuple[str, ...]  # first bad ones that have it, hex


class Attribution(NamedTuple):
    """What was found. No causes: nothing tells failing runs from the others."""

    causes: tuple[Cause, ...]  # the most likely first
    since: Share  # failing runs among those looked at
    before: Share
    traces: tuple[str, ...]  # the first bad ones, hex


NOTHING = Attribution((), Share(0, 0), Share(0, 0), ())


def to_json(found: Attribution) -> dict[str, Any]:
    """As it stands in an alert event."""
    return {
        "causes": [_cause(cause) for cause in found.causes],
        "since": found.since._asdict(),
        "before": found.before._asdict(),
        "traces": list(found.traces),
    }


def from_json(fields: Mapping[str, Any]) -> Attribution:
    """The inverse of `to_json`. Raises KeyError, TypeError on what is none."""
    return Attribution(
        tuple(_read(cause) for cause in fields["causes"]),
        Share(**fields["since"]),
        Share(**fields["before"]),
        tuple(fields["traces"]),
    )


def _cause(cause: Cause) -> dict[str, Any]:
    shares = {name: share and share._asdict() for name, share in cause._asdict().items() if _is_share(name)}
    return {**cause._asdict(), **shares, "traces": list(cause.traces)}


def _read(fields: Mapping[str, Any]) -> Cause:
    known = {name: fields[name] for name in Cause._fields}
    shares = {name: Share(**known[name]) if known[name] else None for name in known if _is_share(name)}
    return Cause(**{**known, **shares, "traces": tuple(known["traces"])})


def _is_share(name: str) -> bool:
    return name in ("since", "before", "elsewhere")
