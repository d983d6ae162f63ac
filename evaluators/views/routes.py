"""Who hands over to whom, as a handoff's span tells it (span-conventions 6.6). A pure function of the span.

The law: a name is taken from where a framework puts one, and from nowhere else; "" is "not told".
"""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.trajectory import Step

NAME_CHARS_MAX: Final = 100  # what is longer is no name
_TOOL: Final = re.compile(r"(?:transfer|hand_?off)_(back_)?to_(?!agent$|an_agent$)(.+)")
_WORDS: Final = re.compile(r"(?:handoff to|goto) (.+)", re.IGNORECASE)
_ARROW: Final = re.compile(r"(?:handoff: *)?(.+?) *(?:->|→) *(.+?)(?:\.handoff)?", re.IGNORECASE)
_ARGUMENTS: Final = (
    "agent_name",
    "target_agent",
    "to_agent",
    "target",
    "agent",
    "coworker",
    "subagent_type",
    "recipient",
    "goto",
    "to",
)
_RESULTS: Final = ("handoff_to", "to_agent", "assistant", "goto")
_NOBODY: Final = frozenset({"", "unknown", "none", "null"})
# People, the caller and the end of a graph: no agent's step follows in this trace.
_PEOPLE: Final = re.compile(
    r"(?:^|[\W_])(?:humans?|person|people|operators?|representatives?|live_?agents?|staff)(?:$|[\W_])", re.I
)
_OUTSIDE: Final = re.compile(r"[\W_]*(?:the[\W_])?(?:user|customer|caller|end)[\W_]*", re.I)
_SUFFIX: Final = re.compile(r"(?:agent|assistant|bot|run)$")


class Route(NamedTuple):
    """From whom, to whom; "" where the span does not tell."""

    source: str
    target: str
    back: bool = False  # it gives control back


def route_of(step: Step) -> Route:
    """The route of a handoff step."""
    span, call = step.span, step.call
    if span.target:
        return Route(step.agent, _name(span.target))
    said = _WORDS.fullmatch(call.name)
    if said is not None:
        return Route(step.agent, _name(said.group(1)))
    arrow = _ARROW.fullmatch(call.name) if len(call.name) <= 3 * NAME_CHARS_MAX else None
    if arrow is not None:
        return Route(_name(arrow.group(1)) or step.agent, _name(arrow.group(2)))
    tool = _TOOL.fullmatch(call.name)
    if tool is not None:
        return Route(step.agent, _name(tool.group(2)), bool(tool.group(1)))
    beside = span.name.removeprefix("execute_tool ").removeprefix(call.name)
    target = _of(call.arguments, _ARGUMENTS) or _of(call.result, _RESULTS)
    return Route(step.agent, target or (_name(beside) if beside[:1] == " " else ""))


def _of(said: Any, keys: tuple[str, ...]) -> str:
    if not isinstance(said, dict):
        return ""
    return next((name for key in keys if (name := _name(said.get(key)))), "")


def _name(value: Any) -> str:
    if not isinstance(value, str) or len(value) > NAME_CHARS_MAX or "\n" in value:
        return ""
    return "" if value.strip().lower() in _NOBODY else value.strip()


def leaves_the_trace(target: str) -> bool:
    """Whether this target is a person, the caller, or the end."""
    return _PEOPLE.search(target) is not None or _OUTSIDE.fullmatch(target) is not None


@lru_cache(maxsize=4096)
def agent_key(name: str) -> str:
    """Equal for the spellings of one agent: `Billing Agent`, `billing_agent`, `billing`."""
    plain = re.sub(r"[\W_]+", "", name).casefold()
    return _SUFFIX.sub("", plain) or plain


@lru_cache(maxsize=256)
def agent_keys(names: frozenset[str]) -> frozenset[str]:
    """The keys of these agents."""
    return frozenset(map(agent_key, names))
