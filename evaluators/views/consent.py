"""Whether somebody agreed to what the agent is about to do, as far as messages tell: kept once a fold, read when asked.

The law: an agreement is an answer. It is a message of the user's that follows one of the agent's, a person who was
asked, or a verifier that passed; it holds until the next answer, so one "yes" covers all the writes that were proposed
together. Its words are not interpreted but for a plain refusal. What was not captured is not known: it never counts as
an agreement, and never as its absence.

Messages are parsed only when somebody asks, each once. Every agent's talk is kept apart: what one agent asks of another
stands in the same role as what a user says.
"""

from typing import Any, Final, Literal, NamedTuple

from evaluators.base import Context
from evaluators.views.refusal import is_refusal
from evaluators.views.verdicts import Verdicts
from schemas.payload import is_placeholder, json_or_text
from schemas.trajectory import Step

Word = Literal[
    "agreed",
    "refused",
    "nothing",  # nobody was asked, as far as the messages tell, and all of them were captured
    "unknown",  # there may have been an answer, but it was not captured
]
_USERS: Final = frozenset({"user", "human"})
_AGENTS: Final = frozenset({"assistant", "model", "ai"})
_TALK: Final = frozenset({"llm", "planner", "verifier", "human"})
_TEXT_TYPES: Final = (
    "text",
    "input_text",
    "output_text",
)  # compared, not looked up: what stands there may be unhashable


class _Heard(NamedTuple):
    """The end of a conversation as a model was shown it."""

    user: str | None  # what the user said since the agent's last message; None: nothing
    agent_spoke: bool  # that message said something


class Consent:
    """The last answer that somebody gave, before the steps that follow. Shared in a fold: `add` takes a step once."""

    def __init__(self, context: Context) -> None:
        self._verdicts = context.shared(Verdicts)
        self._unread: list[Step] = []
        self._seen = -1
        self._spoke: dict[str, bool | None] = {}  # whether each agent spoke since the user did; None: not captured
        self._last: dict[str, str] = {}  # what the user last said to each agent
        self._agreed: bool | None = None  # the last answer
        self._heard = False  # what some model was shown could be read
        self._hidden = False  # an answer may stand behind the last one, and cannot be read

    def add(self, step: Step) -> None:
        """Take the next step in, without reading it."""
        if step.index > self._seen:
            self._seen = step.index
            if step.span.kind in _TALK:
                self._unread.append(step)

    def word(self) -> Word:
        """The answer that holds now."""
        for step in self._unread:
            kind = step.span.kind
            if kind == "verifier":
                self._answer(self._verdicts.of(step))
            elif kind == "human":
                self._asked(step)
            else:
                self._talked(step)
        self._unread.clear()
        if self._agreed:
            return "agreed"
        if self._hidden or not (self._heard or self._agreed is False):
            return "unknown"
        return "nothing" if self._agreed is None else "refused"

    def _answer(self, agreed: bool | None) -> None:
        """Somebody answered; None: perhaps, but it cannot be read."""
        if agreed is None:
            self._hidden = True
        else:
            self._agreed, self._hidden = agreed, False

    def _asked(self, step: Step) -> None:
        """A person was asked in so many words."""
        if step.call.executed:
            decided = self._verdicts.of(step)
            self._answer(_agrees(step.span.result) if decided is None else decided)

    def _talked(self, step: Step) -> None:
        """A model's call: what it was shown, then what it said."""
        agent, span = step.agent, step.span
        heard = _heard(span.input_messages)
        if heard is None:
            self._hidden = True
        else:
            self._heard = True
            self._listen(agent, heard)
        said = _speaks(span.output_messages)
        if said or said is None:
            self._spoke[agent] = True if said else None
        else:
            self._spoke.setdefault(agent, False)

    def _listen(self, agent: str, heard: _Heard) -> None:
        said = heard.user
        if said is None:
            return
        spoke = self._spoke.get(agent, False)
        if spoke is None:  # the agent's words were not captured: a user who says something new has been answered
            spoke = self._last.get(agent, said) != said
        if heard.agent_spoke or spoke:
            self._answer(_agrees(said))
            self._spoke[agent] = False
        self._last[agent] = said


def _agrees(answer: str | None) -> bool | None:
    """Whether an answer is none of refusal; None where its words are not known."""
    if not answer or is_placeholder(answer):
        return None
    return not is_refusal(answer)


def _heard(text: str | None) -> _Heard | None:
    """The end of these input messages; None where they cannot be read."""
    messages = _messages(text)
    if messages is None:
        return None
    user = None
    for message in messages[::-1]:
        role = message.get("role")
        if role in _AGENTS:
            return _Heard(user, _text_of(message) != "")
        if role in _USERS and user is None:
            user = _text_of(message) or None  # results of tools come under this role too, and say nothing
    return _Heard(user, False)


def _speaks(text: str | None) -> bool | None:
    """Whether these output messages say anything to people; None where they cannot be read."""
    messages = _messages(text, role="assistant")
    if messages is None:
        return None
    return any(message.get("role", "assistant") in _AGENTS and _text_of(message) for message in messages)


def _messages(text: str | None, role: str = "user") -> list[dict[str, Any]] | None:
    if text is None or not text.strip():
        return None
    said = json_or_text(text)
    if isinstance(said, dict) and isinstance(said.get("messages"), list):
        said = said["messages"]
    if isinstance(said, str):
        return None if text.lstrip()[:1] in ("{", "[") else [{"role": role, "content": said}]
    listed = said if isinstance(said, list) else [said]
    messages = [message for message in listed if isinstance(message, dict) and isinstance(message.get("role"), str)]
    return messages if len(messages) == len(listed) else None


def _text_of(message: dict[str, Any]) -> str:
    """The words of a message, whatever holds them; "" where it has none."""
    found = []
    for content in (message.get("content"), message.get("parts")):
        if isinstance(content, str):
            found.append(content)
        elif isinstance(content, list):
            found += [_part(part) for part in content]
    return " ".join(words for words in found if words.strip()).strip()


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict) or part.get("type", "text") not in _TEXT_TYPES:
        return ""
    said = part.get("content", part.get("text"))
    return said if isinstance(said, str) else ""
