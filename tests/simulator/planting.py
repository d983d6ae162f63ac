"""What both simulators do with planted bugs: list them, plant one, and look for the first seed that shows it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

Patch = Callable[[pytest.MonkeyPatch], None]
Problems = Callable[[int, str | None], tuple[list[str], Counter[str]]]  # of a seed, with this bug or with none


class Caught(NamedTuple):
    """The first seed that shows a bug, and how."""

    seed: int
    said: str


class Bugs(dict[str, Patch]):
    """Bugs by name, in the order in which they are listed."""

    def add(self, patch: Patch) -> Patch:
        """List a bug under its name: a decorator."""
        self[patch.__name__.replace("_", " ")] = patch
        return patch

    @contextmanager
    def planted(self, name: str | None) -> Iterator[None]:
        """The code with this bug in it; as it is without a name."""
        with pytest.MonkeyPatch.context() as patched:
            if name is not None:
                self[name](patched)
            yield


def first_caught(problems: Problems, bug: str, first: int, n: int) -> Caught | None:
    """The first of these seeds that shows the bug."""
    for seed in range(first, first + n):
        found, _ = problems(seed, bug)
        if found:
            return Caught(seed, found[0])
    return None
