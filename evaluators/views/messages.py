"""Input messages, sorted by who said what: words of people and of the system, results, and the model's own words.

The law: the model's own words are in neither sort, nor is a result that was captured itself, where it was brought.
"""

from typing import Any, Final

from schemas.payload import json_or_text

# Who speaks, as `role` or `type` of a message or of a part, in the dialects of OpenAI, Anthropic, GenAI, LangChain.
_OWN: Final = frozenset(
    {"assistant", "model", "ai", "aimessage", "aimessagechunk", "tool_call", "tool_use", "function_call"}
    | {"server_tool_call", "reasoning", "thinking"}
)
_RESULTS: Final = frozenset(
    {"tool", "function", "toolmessage", "tool_call_response", "tool_result", "server_tool_call_response"}
    | {"function_call_output"}
)
_OWN_KEYS: Final = frozenset({"tool_calls", "function_call"})
_FORM_KEYS: Final = frozenset({"role", "type", "finish_reason"})
_ANSWER_KEYS: Final = ("tool_call_id", "tool_use_id", "call_id", "id", "response", "result", "content", "output")


class Messages:
    """Input messages, read once, when needed."""

    def __init__(self, raw: str, answered: "set[str] | frozenset[str]") -> None:
        self.raw, self._answered = raw, answered
        self._sorted: tuple[list[str], list[str]] | None = None

    def words(self) -> str:
        """What people and the system said."""
        return "\n".join(self._sort()[0])

    def results(self) -> str:
        """Results, as these messages tell them."""
        return "\n".join(self._sort()[1])

    def all(self) -> str:
        """Both."""
        return f"{self.words()}\n{self.results()}"

    def _sort(self) -> tuple[list[str], list[str]]:
        if self._sorted is None:
            value = json_or_text(self.raw)
            self._sorted = ([], [])
            self._walk(value, *self._sorted)
        return self._sorted

    def _walk(self, value: Any, words: list[str], results: list[str]) -> None:
        """Texts of a message of any of the usual shapes, into the list of who said them."""
        stack: list[tuple[Any, list[str]]] = [(value, words)]
        while stack:
            at, into = stack.pop()
            if isinstance(at, dict):
                speaker = _speaker(at)
                if speaker in _OWN:
                    continue
                if speaker in _RESULTS:
                    if any(isinstance(at.get(key), str) and at[key] in self._answered for key in _ANSWER_KEYS):
                        continue  # a result that is here itself: an error without its echo
                    into = results
                for key, item in at.items():
                    if key not in _OWN_KEYS and key not in _FORM_KEYS:
                        if into is results:
                            into.append(key)  # results that are objects may be keyed by id
                        stack.append((item, into))
            elif isinstance(at, list):
                stack.extend((item, into) for item in at)
            elif at is not None:
                into.append(str(at))


def _speaker(message: dict[str, Any]) -> str:
    for said in (message.get("role"), message.get("type")):
        if isinstance(said, str) and (said.lower() in _OWN or said.lower() in _RESULTS):
            return said.lower()
    lc = message.get("id")  # LangChain serialises a message as {"lc": 1, "id": [..., "AIMessage"], "kwargs": ...}
    return lc[-1].lower() if isinstance(lc, list) and lc and isinstance(lc[-1], str) else ""
