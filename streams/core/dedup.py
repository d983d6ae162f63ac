"""Nested instrumentation -> one step for one thing that happened (span-conventions 6.7).

A framework's span around an SDK's span of the same model call, a tool call seen by caller, client and server, an agent wrapped
twice: each is one step. Pure and linear; parents come before their children in what it is given, so one look at the nearest step
above decides. A span that is no step any more still counts as structure: its children find what is above it.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from schemas.span import ERROR, Span, StepKind, is_step

_CALLS: Final = frozenset({"tool_call", "retrieval", "handoff", "human"})
_FRAME_NAME: Final = re.compile(r"^(invocation|workflow\.run.*|invoke_(workflow|swarm|graph))$")


class Once(NamedTuple):
    """What is no step of its own, and what its twin took over from it."""

    dropped: frozenset[bytes]  # span ids
    merged: dict[bytes, Span]  # by span id: the span as a step, with what the dropped ones knew


class _Pass:
    """One walk over ordered spans."""

    def __init__(self) -> None:
        self.dropped: set[bytes] = set()
        self.merged: dict[bytes, Span] = {}
        self.above: dict[bytes, Span | None] = {}  # the nearest step at or above each span, as it came
        self.frames: dict[bytes, str | None] = {}  # the frame above with no step between: its name, "" without one
        self.inner: dict[bytes, list[Span]] = {}  # model calls directly inside a model call
        self.wrappers: dict[bytes, bool] = {}  # agents right below a frame: whether an agent was seen inside
        self.calls: dict[tuple[str, str], Span] = {}

    def add(self, span: Span) -> None:
        up = self.above.get(span.parent_id)
        frame = self.frames.get(span.parent_id)
        self.above[span.span_id] = up
        self.frames[span.span_id] = frame
        if not is_step(span.kind):
            if span.kind == "workflow":
                self.frames[span.span_id] = _frame_name(span)
            return
        what = base(span)
        if up is not None and up.span_id in self.wrappers:
            self._inside_wrapper(up, what)
        if self._is_again(span, what, up):
            return
        self.above[span.span_id] = span
        self.frames[span.span_id] = None
        if what == "agent" and up is None and frame is not None and frame in ("", span.agent):
            self.wrappers[span.span_id] = False

    def _is_again(self, span: Span, what: StepKind, up: Span | None) -> bool:
        """Whether this span tells what the step above it tells already; then that one takes over what it knows."""
        if up is not None and what == "llm" and base(up) == "llm":
            self.inner.setdefault(up.span_id, []).append(span)  # the inner one is kept: decided at the end
            return False
        if up is not None and _is_twin(span, what, up):
            self._absorb(up, span)
            return True
        if what in _CALLS and span.call_id:
            first = self.calls.setdefault((span.call_id, span.tool), span)
            if first is not span and first.dialect != span.dialect and span.start_ns < first.end_ns:
                self._absorb(first, span)  # two instrumentors beside each other
                return True
        return False

    def _absorb(self, kept: Span, again: Span) -> None:
        self.dropped.add(again.span_id)
        self.merged[kept.span_id] = _with(self.merged.get(kept.span_id, kept), again)

    def _inside_wrapper(self, wrapper: Span, what: StepKind) -> None:
        if what == "agent":
            self.wrappers[wrapper.span_id] = True
        else:
            del self.wrappers[wrapper.span_id]  # it works itself: an agent

    def finish(self, spans: Sequence[Span]) -> Once:
        for outer, inner in self.inner.items():
            self.dropped.add(outer)
            if len(inner) == 1:  # of several, none is the whole
                known = inner[0]
                self.merged[known.span_id] = _filled(self.merged.get(known.span_id, known), self._whole(outer, spans))
        self.dropped.update(agent for agent, holds_agents in self.wrappers.items() if holds_agents)
        return Once(frozenset(self.dropped), self.merged)

    def _whole(self, span_id: bytes, spans: Sequence[Span]) -> Span:
        found = self.merged.get(span_id) or self.above[span_id]
        assert found is not None, "an outer call is a step"
        return found


def once(spans: Sequence[Span]) -> Once:
    """Of spans in their total order, those that repeat what another step tells."""
    walk = _Pass()
    for span in spans:
        walk.add(span)
    found = walk.finish(spans)
    return Once(found.dropped, _without_sums(spans, found))


def base(span: Span) -> StepKind:
    """The kind before the agent's name refined it."""
    return span.operation or span.kind


def _frame_name(span: Span) -> str:
    if span.workflow:
        return span.workflow
    return "" if _FRAME_NAME.match(span.name) else span.name


def _is_twin(span: Span, what: StepKind, up: Span) -> bool:
    if what == "agent":
        return base(up) == "agent" and span.agent == up.agent != ""
    if what not in _CALLS or base(up) not in _CALLS or not _same_tool(up.tool, span.tool):
        return False
    if span.call_id and up.call_id:
        return span.call_id == up.call_id
    return (
        what != "handoff" or None in (span.arguments, up.arguments) or span.arguments == up.arguments
    )  # passed on again


def _same_tool(outer: str, inner: str) -> bool:
    """Whether these name one tool: a client may put its server's name before the server's own."""
    return outer == inner or (inner != "" and outer.endswith((f"__{inner}", f".{inner}", f"/{inner}")))


def _with(kept: Span, again: Span) -> Span:
    """The span as a step, its twin's failure and content taken over: whichever noticed the error is right."""
    found = _filled(kept, again)
    if again.status == ERROR and found.status != ERROR:
        found = found._replace(status=ERROR, status_message=found.status_message or again.status_message)
    return found


def _filled(kept: Span, other: Span) -> Span:
    """What `kept` was not told, from `other`."""
    return kept._replace(
        agent=kept.agent or other.agent,
        model=kept.model or other.model,
        provider=kept.provider or other.provider,
        call_id=kept.call_id or other.call_id,
        session_id=kept.session_id or other.session_id,
        error_type=kept.error_type or other.error_type,
        exception=kept.exception or other.exception,
        status_message=kept.status_message or other.status_message,
        input_tokens=kept.input_tokens or other.input_tokens,
        output_tokens=kept.output_tokens or other.output_tokens,
        cost_usd=kept.cost_usd if kept.cost_usd is not None else other.cost_usd,
        arguments=kept.arguments if kept.arguments is not None else other.arguments,
        result=kept.result if kept.result is not None else other.result,
        input_messages=kept.input_messages if kept.input_messages is not None else other.input_messages,
        output_messages=kept.output_messages if kept.output_messages is not None else other.output_messages,
        tool_definitions=kept.tool_definitions if kept.tool_definitions is not None else other.tool_definitions,
        finish_reasons=kept.finish_reasons or other.finish_reasons,
    )


def _without_sums(spans: Sequence[Span], found: Once) -> dict[bytes, Span]:
    """Tokens of an agent are the sum of its model calls: told again where those tell them, and then not counted."""
    if not any(span.input_tokens and base(span) == "agent" and is_step(span.kind) for span in spans):
        return found.merged
    merged = dict(found.merged)
    counted: set[bytes] = set()  # spans with counted tokens at or below them
    for span in reversed(spans):  # children before their parents
        known = merged.get(span.span_id, span)
        steps = is_step(span.kind) and span.span_id not in found.dropped
        if steps and base(span) == "agent" and known.input_tokens and span.span_id in counted:
            merged[span.span_id] = known._replace(input_tokens=0, output_tokens=0, cost_usd=None)
        if span.span_id in counted or (steps and known.input_tokens):
            counted.update((span.span_id, span.parent_id))
    return merged
