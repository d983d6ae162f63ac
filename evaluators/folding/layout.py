"""The rows about the steps of a trajectory, in their order, as they change while it goes on.

The law: what is laid out is what a layout from nothing would be. Only the steps from the first change on are laid out
anew, so that asking again after every step costs what is new.
"""

from collections.abc import Mapping, Sequence

from schemas.result import Judgement, Result

Late = Mapping[int, tuple[Judgement, Result]]  # by step: what an evaluator says of it that later steps may revise


class Layout:
    """Rows by step: what is settled about each, then what each evaluator said of it last."""

    __slots__ = ("_at", "_rows")

    def __init__(self) -> None:
        self._rows: list[Result] = []
        self._at: list[int] = []  # where the rows of each step begin

    def rows(self, settled: Sequence[Sequence[Result]], late: Sequence[Late], changed: int) -> list[Result]:
        """All rows; nothing said of the steps before `changed` is another than at the last asking."""
        rows, at = self._rows, self._at
        if changed < len(at):
            del rows[at[changed] :]
            del at[changed:]
        several = [of for of in late if of]
        for index in range(len(at), len(settled)):
            at.append(len(rows))
            rows += settled[index]
            for of in several:
                if index in of:
                    rows.append(of[index][1])
        return rows
