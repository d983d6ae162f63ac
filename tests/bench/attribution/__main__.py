"""`make bench-attribution`: how often the injected cause is named first, how often something where nothing was, and how fast.

Seeded: the same counts each time. Exit code 1 when fewer than 98 % of injected causes come first, or more than 1 % of the shifts
without one get an attribute.
"""

import sys
import time
from collections import Counter
from itertools import count, islice

from rich.console import Console
from rich.table import Table

from schemas.attribution import ATTRIBUTES
from streams.core.attribution import attribute
from tests.bench.attribution.draws import KINDS, ONSET_MS, draw, is_alert

CASES = 100  # of a kind
FIRST_GOAL, FALSE_GOAL = 0.98, 0.01


def main() -> int:
    """Measure, print, judge."""
    table = Table("injected", "cases", "first", "second or later", "not told", "ms of CPU")
    total: Counter[str] = Counter()
    for kind in KINDS:
        cases = list(islice((case for seed in count() if is_alert(case := draw(kind, seed))), CASES))
        began = time.process_time()
        told = Counter(_place(case.runs, case.injected) for case in cases)
        took = (time.process_time() - began) / len(cases) * 1e3
        if kind == "nothing":
            total["null"], total["false"] = len(cases), told["attribute"]
            table.add_row("nothing", str(len(cases)), "-", "-", f"{told['attribute']} false attributes", f"{took:.1f}")
        else:
            total["cases"] += len(cases)
            total["first"] += told["first"]
            row = (told["first"], told["later"], told["no"])
            table.add_row(kind.replace("_", " "), str(len(cases)), *map(str, row), f"{took:.1f}")
    console = Console()
    console.print(table)
    first, false = total["first"] / total["cases"], total["false"] / total["null"]
    console.print(
        f"{total['first']} of {total['cases']} injected causes first; {total['false']} of {total['null']} false"
    )
    return 0 if first >= FIRST_GOAL and false <= FALSE_GOAL else 1


def _place(runs: object, injected: object) -> str:
    causes = attribute(runs, ONSET_MS).causes  # type: ignore[arg-type]
    if injected is None:
        return "attribute" if any(cause.feature in ATTRIBUTES for cause in causes) else "none"
    wanted = (injected.feature, injected.value)  # type: ignore[attr-defined]
    places = [(cause.feature, cause.value) for cause in causes]
    return "no" if wanted not in places else "later" if places.index(wanted) else "first"


if __name__ == "__main__":
    sys.exit(main())
