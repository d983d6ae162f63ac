"""What can go wrong in a run: each fault is a function from a play, or from its spans, to one in which it happened."""

import json
from collections.abc import Callable, Sequence

from streams.demo.mishap import APOLOGY
from streams.demo.play import Call, Play
from streams.demo.scribe import SpanPlan
from tests.scenarios.scenario import Kind

STORM_ATTEMPTS = 100
SLOWER_MS = 3_000.0
LOOP_HOPS = 6
GAP_MS = 5.0

ChangePlay = Callable[[Play, str], Play]
ChangeSpans = Callable[[list[SpanPlan], str], list[SpanPlan]]


def _each(play: Play, tool: str, change: Callable[[Call], Sequence[Call]]) -> Play:
    """The play with the last call of a tool replaced: what happened before it, a timeout for one, has happened."""
    at = max((i for i, call in enumerate(play.calls) if call.tool == tool and not call.error), default=None)
    if at is None:
        return play
    return play._replace(calls=(*play.calls[:at], *change(play.calls[at]), *play.calls[at + 1 :]))


def missing_argument(play: Play, tool: str) -> Play:
    """The first argument is left out; the tool answers as ever."""
    return _each(play, tool, lambda c: [c._replace(arguments=dict(list(c.arguments.items())[1:]))])


def swallowed_error(play: Play, tool: str) -> Play:
    """The error is told as a result; nobody looks at it."""
    return _each(play, tool, lambda c: [c._replace(result={"error": f"500: {tool} is not available"})])


def tool_error(play: Play, tool: str) -> Play:
    """The tool, or whichever comes first, fails twice; the agent gives up and says so."""
    name = tool or play.calls[0].tool
    at = next((i for i, call in enumerate(play.calls) if call.tool == name), None)
    if at is None:
        return play
    failed = play.calls[at]._replace(result=None, error="unavailable")
    return play._replace(calls=(*play.calls[:at], failed, failed), answer=APOLOGY)


def timeout_once(play: Play, tool: str) -> Play:
    """The first attempt times out; the next one works."""
    return _each(play, tool, lambda c: [c._replace(result=None, error="timeout"), c])


def retry_storm(play: Play, tool: str) -> Play:
    """A hundred attempts fail; the last works."""
    return _each(play, tool, lambda c: [*[c._replace(result=None, error="timeout")] * STORM_ATTEMPTS, c])


def slow_tool(spans: list[SpanPlan], tool: str) -> list[SpanPlan]:
    """Every call of the tool takes longer; all that comes after it comes later."""
    for i in [i for i, plan in enumerate(spans) if plan.name == f"execute_tool {tool}"]:
        start = spans[i].start_ms
        spans = [
            plan._replace(
                start_ms=plan.start_ms + SLOWER_MS * (plan.start_ms > start),
                end_ms=plan.end_ms + SLOWER_MS * (plan.end_ms > start),
            )
            for plan in spans
        ]
    return spans


def mute_verifier(spans: list[SpanPlan], _tool: str) -> list[SpanPlan]:
    """The verifier answers with small talk."""
    said = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "I have had a look at it."}]}])
    return [
        plan._replace(attributes={**plan.attributes, "gen_ai.output.messages": said})
        if plan.name.startswith("chat ") and plan.attributes.get("gen_ai.agent.name") == "verifier"
        else plan
        for plan in spans
    ]


def handed_over(spans: list[SpanPlan], hops: int = 2) -> list[SpanPlan]:
    """At its end the executor hands the result to a clerk, who hands it back, and so on; whoever has it last speaks."""
    root, agents = spans[0], ("executor", "clerk")
    conversation = root.attributes["gen_ai.conversation.id"]
    now_ms, found = root.end_ms, list(spans)
    for hop in range(hops + 1):
        agent, target = agents[hop % 2], agents[(hop + 1) % 2]
        of_agent = {"gen_ai.agent.name": agent}
        found.append(_span(f"invoke_agent {agent}", 0, now_ms, now_ms + 120, conversation, of_agent))
        parent = len(found) - 1
        if hop < hops:
            call = {**of_agent, "gen_ai.tool.name": f"transfer_to_{target}"}
            call["gen_ai.tool.call.arguments"] = json.dumps({"about": root.attributes["gen_ai.input.messages"]})
            call["gen_ai.tool.call.id"] = f"hop_{conversation}_{hop}"
            call["gen_ai.tool.call.result"] = json.dumps({"assistant": target})
            name = f"execute_tool transfer_to_{target}"
            found.append(_span(name, parent, now_ms + GAP_MS, now_ms + 60, conversation, call))
        else:
            chat = {**of_agent, "gen_ai.request.model": "assistant-4", "gen_ai.response.model": "assistant-4"}
            found.append(_span("chat assistant-4", parent, now_ms + GAP_MS, now_ms + 100, conversation, chat))
        now_ms += 120 + GAP_MS
    found[0] = root._replace(end_ms=now_ms)
    return found


def _span(name: str, parent: int, start: float, end: float, conversation: object, more: dict[str, str]) -> SpanPlan:
    common = {"gen_ai.operation.name": name.split(" ")[0], "gen_ai.conversation.id": str(conversation)}
    return SpanPlan(name, parent, start, end, {**common, **more}, "")


def handoff_loop(spans: list[SpanPlan], _tool: str) -> list[SpanPlan]:
    """To and fro, with nothing done between."""
    return handed_over(spans, LOOP_HOPS)


IN_PLAYS: dict[Kind, ChangePlay] = {
    "missing_argument": missing_argument,
    "swallowed_error": swallowed_error,
    "tool_error": tool_error,
    "timeout_once": timeout_once,
    "retry_storm": retry_storm,
}
IN_SPANS: dict[Kind, ChangeSpans] = {
    "slow_tool": slow_tool,
    "mute_verifier": mute_verifier,
    "handoff_loop": handoff_loop,
}
