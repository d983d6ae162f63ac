"""Which customer, order or ticket the calls so far were about, as the registry's `entity` arguments tell."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from evaluators.folding.plan import WORKFLOWS_PLANNED
from schemas.payload import is_placeholder
from schemas.registry import Workflow
from schemas.trajectory import Step

ID_CHARS_MAX: Final = 100  # what is longer is no id
_EDGES: Final = re.compile(r"^[\W_]+|[\W_]+$")  # `#W1` is `W1` where a person writes it
_PLAIN: Final = re.compile(r"[a-z0-9][a-z0-9 _.:@+-]*")  # an id that no encoding of a text spells otherwise
# What stands before an id at the start of a line of a JSON string.
_ESCAPED: Final = re.compile(r"\\(?:[bfnrt]|u[0-9a-f]{4})$")


class Subjects:
    """The last call of each tool that has entity arguments. Read when somebody asks."""

    def __init__(self, workflow: Workflow) -> None:
        self._paths, self._handoff_paths = _paths(workflow)
        self._last: dict[str, Step] = {}
        self._ids: dict[int, dict[str, str]] = {}  # by step, once read
        self.any = bool(self._paths)  # whether the registry names any

    def add(self, step: Step) -> None:
        """Take in a call that did its work."""
        if step.span.tool in self._paths:
            self._last[step.span.tool] = step

    def named(self, handoff: Step) -> dict[str, str]:
        """The id of each kind of entity: the last one that a call acted on, or that the handoff itself names.

        Plain, lower-case ids; others may be spelled otherwise where they are looked for, and are left out.
        """
        if not self._paths:
            return {}
        found: dict[str, str] = {}
        for step in sorted(self._last.values(), key=lambda step: step.index):
            if step.index not in self._ids:
                self._ids[step.index] = _ids(step.call.arguments, self._paths[step.span.tool])
            found.update(self._ids[step.index])
        if isinstance(handoff.call.arguments, dict):
            found.update(_ids(handoff.call.arguments, self._handoff_paths))
        return found


@lru_cache(maxsize=WORKFLOWS_PLANNED)
def _paths(workflow: Workflow) -> tuple[Mapping[str, Mapping[str, str]], Mapping[str, str]]:
    """Where calls name their entities, by tool; and where a handoff may, by kind of entity."""
    paths = {name: tool.entity for name, tool in workflow.tools.items() if tool.entity}
    return paths, {kind: path for of_tool in paths.values() for kind, path in of_tool.items()}


def _ids(arguments: Any, paths: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for kind, path in paths.items():
        value = arguments
        for key in path.removeprefix("$.").split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if type(value) is int or (isinstance(value, str) and len(value) <= ID_CHARS_MAX and not is_placeholder(value)):
            plain = _EDGES.sub("", str(value)).casefold()
            if _PLAIN.fullmatch(plain):
                found[kind] = plain
    return found


def mentions(text: str, value: str) -> bool:
    """Whether an id of `Subjects.named` stands in a text as a whole word; the text may be JSON as it was captured."""
    text = text.casefold()
    at = text.find(value)
    while at >= 0:
        after = text[at + len(value) : at + len(value) + 1]
        if not after.isalnum() and (not text[at - 1 : at].isalnum() or _ESCAPED.search(text[max(0, at - 6) : at])):
            return True
        at = text.find(value, at + 1)
    return False
