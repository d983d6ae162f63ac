"""Reading on after a slip: what is right in a text is still checked, so that all its problems are told at once.

The law: a problem that is told here is one; nothing is told that only follows from an earlier one. What was wrong is
left out together with the list it stands in, and what refers to it is then not checked at all.
"""

from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from schemas.config import LineOf, M, Path, Problem, problems_of

NAMELESS = "(without a name) "  # begins the name of what has none
ROUNDS_MAX = 20  # leaving something out can show the next fault: a round each


def validate_all(model: type[M], data: Any, source: str, line_of: LineOf) -> tuple[M | None, list[Problem]]:
    """`data` as a `model` without what is wrong in it, and every problem. None: nothing of it can be used."""
    problems: list[Problem] = []
    for _ in range(ROUNDS_MAX):
        try:
            return model.model_validate(data), problems
        except ValidationError as error:
            problems += [p for p in problems_of(model, error, source, line_of) if p not in problems]
            data = deepcopy(data)
            left_out = [_left_out(data, fault["loc"], fault["type"]) for fault in error.errors(include_url=False)]
            if not all(left_out):
                break
    return None, problems


def _left_out(data: Any, path: Path, fault: str) -> bool:
    """Take the innermost mapping entry at or above this path away; places of list items stay what they are."""
    if fault == "missing" and path[-1] == "name":  # its neighbours can still be checked
        holder = _at(data, path[:-1])
        if isinstance(holder, dict):
            holder.setdefault("name", f"{NAMELESS}{path}")
            return True
    path = path[:-1] if fault == "missing" else path
    while path and isinstance(path[-1], int):
        path = path[:-1]
    holder = _at(data, path[:-1]) if path else None
    if not isinstance(holder, dict):
        return False
    holder.pop(path[-1], None)  # two faults may lie in one entry
    return True


def _at(data: Any, path: Path) -> Any:
    for part in path:
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return data
