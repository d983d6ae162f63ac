"""Names that come with the data, made fit to be an attribute of a metric: who invents names must not make series without end."""

NAMES_MAX = 100  # a series each, times partitions and outcomes
NAME_CHARS_MAX = 100
OTHER = "__other__"


class Names:
    """The first `NAMES_MAX` names of a process stand for themselves, cut to `NAME_CHARS_MAX`; all later ones are `__other__`."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """What stands for this name; the same in every call."""
        name = name[:NAME_CHARS_MAX]
        if name not in self._known:
            if len(self._known) >= NAMES_MAX:
                return OTHER
            self._known.add(name)
        return name
