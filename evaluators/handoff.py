"""HandoffQuality: was work that was handed over taken up, by whom it should, with what is needed?"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Final

from evaluators.base import ALL_KINDS, CALL_KINDS, COMMON_CODES, Context, Follower, scored, unscored
from evaluators.views.routes import agent_key, agent_keys, leaves_the_trace, route_of
from evaluators.views.subjects import Subjects, mentions
from schemas.payload import has_placeholder, json_or_text
from schemas.registry import Workflow
from schemas.result import Judgement
from schemas.span import TRUNCATED, StepKind
from schemas.trajectory import Step, Trajectory

_PASS: Final = Judgement("pass", 1.0, "trace")
_KNOWN: Final = Judgement("pass", 1.0, "registry")
_OPEN: Final = unscored("trace", "still_open", "the run goes on, or was lost sight of")
_OUTSIDE: Final = unscored(
    "trace", "left_the_trace", "handed to a person or back to the caller: no step can follow here"
)
_NO_TARGET: Final = unscored("trace", "no_target", "the span does not tell to whom, and no other agent's step follows")
_NO_AGENTS: Final = unscored("trace", "not_captured", "the steps that follow do not tell whose they are")
_ALONE: Final = unscored(
    "trace", "not_captured", "the handoff is a trace of its own: the run it belongs to is elsewhere"
)
_NO_CONTENT: Final = unscored("registry", "not_captured", "what the target agent was given was not captured")


@dataclass(slots=True, eq=False)
class Handoff:
    """A handoff, and what became of it so far."""

    step: Step
    source: str
    target: str
    back: bool
    work: int  # how much had been done when it came
    unknown: bool  # the registry says who works here, and does not know the target
    ping_pong: bool = False
    taken_up: bool = False
    lost: dict[str, str] = field(default_factory=dict)  # ids, by kind of entity, that the target was not yet given
    received: bool = False  # what the target was given was captured


class Relay(Follower):
    """The handoffs of a run in order, and the steps between them as far as they matter."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.any = False  # whether anything was handed over: else no step need be looked at
        self.workflow = context.workflow
        self.agents = agent_keys(context.workflow.agents)
        self.subjects = Subjects(context.workflow)
        self.handoffs: list[Handoff] = []
        self.watched: Handoff | None = None  # the last one, while its target has not acted yet
        self.last = -1  # the last step
        self.last_unnamed = -1  # the last step that does not say whose it is
        self.last_stranger = -1  # the last step by which an agent came in to whom nobody had handed anything
        self._waiting: dict[str, list[Handoff]] = {}  # by target: not taken up yet
        self._untold: dict[str, list[Handoff]] = {}  # by source: to nobody knows whom, not taken up yet
        self._requested: set[str] = set()
        self._seen: set[str] = set()
        self._work = 0

    def take(self, steps: Sequence[Step]) -> None:
        """Take the next steps in."""
        for step in steps:
            if step.span.kind == "handoff" or self.handoffs:
                self._follow(step)
            else:
                self._precede(step)

    def _precede(self, step: Step) -> None:
        """A step before the first handoff: its agent, and what it was about."""
        self._seen.add(step.span.agent)
        if self.subjects.any and step.span.kind in CALL_KINDS and step.call.executed:
            self.subjects.add(step)

    def _follow(self, step: Step) -> None:
        """A handoff, or a step after one."""
        kind, agent = step.span.kind, step.span.agent
        self.last = step.index
        if not agent:
            self.last_unnamed = step.index
        elif agent not in self._seen:
            self._seen.add(agent)
            if self.handoffs and agent_key(agent) not in self._requested:
                self.last_stranger = step.index
        if self.handoffs:
            self._take_up(step)
        if kind == "handoff":
            self._hand_over(step)
        elif (kind in CALL_KINDS or kind == "human") and step.call.executed:
            self._work += 1
            self.subjects.add(step)

    def _hand_over(self, step: Step) -> None:
        source, target, back = route_of(step)
        key = agent_key(target)
        made = Handoff(step, source, target, back, self._work, bool(self.agents and target) and key not in self.agents)
        made.ping_pong = self._bounces(made)
        self.handoffs.append(made)
        if target:
            self._requested.add(key)
            self._waiting.setdefault(key, []).append(made)
        else:
            self._untold.setdefault(agent_key(source), []).append(made)
        given = step.span.arguments or ""
        made.lost = {kind: value for kind, value in self.subjects.named(step).items() if not mentions(given, value)}
        self.watched = made if made.lost else None

    def _take_up(self, step: Step) -> None:
        """A step after a handoff: whose is it, and what was its agent given?"""
        key = agent_key(step.agent)
        for made in self._waiting.pop(key, ()):
            made.taken_up = True
        if self._untold and key:
            own = self._untold.pop(key, None)
            for others in self._untold.values():
                for made in others:
                    made.taken_up = True
            self._untold = {} if own is None else {key: own}
        watched = self.watched
        if watched is not None and watched.taken_up and (not watched.target or key == agent_key(watched.target)):
            self._receive(watched, step)

    def _receive(self, watched: Handoff, step: Step) -> None:
        """What the target was shown, up to its first act; what it acts with, it was given."""
        span = step.span
        acts = span.kind in CALL_KINDS or span.kind == "handoff"
        given = span.arguments if acts else span.input_messages
        if given is not None:
            watched.lost = {kind: value for kind, value in watched.lost.items() if not mentions(given, value)}
            hidden = span.flags & TRUNCATED or (watched.lost and has_placeholder(json_or_text(given)))
            watched.received = watched.received or not (acts or hidden)
        if acts or not watched.lost:
            self.watched = None

    def _bounces(self, made: Handoff) -> bool:
        """Whether this is the third of A to B, B to A, A to B with nothing done between."""
        if len(self.handoffs) < 2 or not made.target:
            return False
        first, second = self.handoffs[-2:]
        route = (agent_key(made.source), agent_key(made.target))
        there, back = _keys(first), _keys(second)
        return route[0] != route[1] and route == there and route == back[::-1] and first.work == self._work


def _keys(made: Handoff) -> tuple[str, str]:
    return agent_key(made.source), agent_key(made.target)


class HandoffQuality:
    """Whether work that was handed over was taken up, by an agent that exists, with the ids it is about.

    Counts: every handoff step. Its target is what the tool's name (`transfer_to_billing`), its arguments, its result or
    the span's name tell; agents are one under all spellings (`Billing Agent`, `billing`). It was taken up when a step of
    the target follows, whatever the status of the handoff itself says. A handoff is bad if
    - unknown_agent: the registry lists the `agents` of the workflow, and the target is none of them;
    - ping_pong: it is the third of A to B, B to A, A to B with no successful call and no person asked between them;
    - never_executed: no step of the target follows, though the steps that follow say whose they are, or none follow;
    - context_dropped: an id that the last calls before it acted on (the registry's `entity` arguments; the last of each
      kind) stands neither in the handoff's arguments, nor in what the target was shown before its first call, nor in
      that call.
    Does not count: delegation by calling an agent as a tool; what was handed over beside ids. Agents seen in the trace
    alone never prove that another one does not exist, and an agent that nobody called may be the target's other name.

    Fails: the codes above. Unscored: still_open, no_target (nobody tells to whom, and nobody follows), left_the_trace
    (a person, the caller, the end), not_captured (steps without agents; a handoff that is a trace of its own; ids are
    known, but not what the target got).
    """

    name: ClassVar[str] = "HandoffQuality"
    version: ClassVar[str] = "1"
    kinds: ClassVar[frozenset[StepKind]] = ALL_KINDS
    shown: ClassVar[frozenset[StepKind]] = frozenset({"handoff"})
    reason_codes: ClassVar[frozenset[str]] = COMMON_CODES | {
        "unknown_agent",
        "ping_pong",
        "never_executed",
        "context_dropped",
        "still_open",
        "no_target",
        "left_the_trace",
        "not_captured",
    }

    def applies(self, workflow: Workflow) -> bool:
        """Any run may hand over."""
        return True

    def initial(self, context: Context) -> Relay:
        """Nothing handed over yet."""
        return Relay(context)

    def update(self, state: Relay, step: Step) -> None:
        """There is a handoff: only later steps tell what became of it."""
        state.any = True

    def finish(self, state: Relay, trajectory: Trajectory) -> Iterable[tuple[Step, Judgement]]:
        """Each handoff, given the steps so far."""
        if not state.any:
            return
        state.catch_up()
        over = trajectory.closed not in ("", "abandoned")
        for made in state.handoffs:
            yield made.step, _judged(made, state, over)


def _judged(made: Handoff, state: Relay, over: bool) -> Judgement:
    named = {"from": made.source, "to": made.target}
    between = f"{made.source or '-'} to {made.target or '-'}"
    if made.unknown and not leaves_the_trace(made.target):
        reason = f"{made.target!r} is none of the {len(state.agents)} agents of workflow {state.workflow.name!r}"
        return scored(0.0, "registry", "unknown_agent", reason, named)
    if made.ping_pong:
        reason = f"control went {between} and back and again, and nothing was done between"
        return scored(0.0, "trace", "ping_pong", reason, named)
    if not made.taken_up:
        return _not_taken_up(made, state, over) or scored(
            0.0, "trace", "never_executed", f"handed over from {between}, and no step of the target follows", named
        )
    if not made.lost:
        return _KNOWN if state.agents else _PASS
    if state.watched is made and not over:
        return _OPEN
    if not made.received:
        return _NO_CONTENT
    reason = f"handed over from {between} without the id of: {', '.join(sorted(made.lost))}"
    return scored(0.0, "registry", "context_dropped", reason, {**named, "entities": sorted(made.lost)})


def _not_taken_up(made: Handoff, state: Relay, over: bool) -> Judgement | None:
    """Why it cannot be said that a handoff was lost; None where it can."""
    at, known = made.step.index, agent_key(made.target) in state.agents
    if leaves_the_trace(made.target) and not known:
        return _OUTSIDE
    if not over:
        return _OPEN
    if not made.step.span.parent_id:
        return _ALONE
    if not made.target:
        return _NO_TARGET
    if made.back and state.last == at:
        return _OUTSIDE
    if state.last_unnamed > at or (state.last_stranger > at and not known):
        return _NO_AGENTS
    return None
