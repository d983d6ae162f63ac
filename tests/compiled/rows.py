"""`python -m tests.compiled.rows SHARED`: a digest of all result rows of the recorded and of generated runs."""

import sys
from hashlib import sha256
from pathlib import Path

from evaluators.judge import judge
from schemas.compiled import IS_COMPILED
from tests.bench.evaluators.data import Recorded
from tests.bench.evaluators.speed import Generated


def main(shared: Path) -> None:
    digest, rows = sha256(), 0
    for trajectory in (*Recorded(shared).assembled(), *Generated(shared).fresh(hostile=True)):
        for result in judge(trajectory):
            digest.update(repr(tuple(result)).encode())
            rows += 1
    print(rows, digest.hexdigest())
    print("compiled" if IS_COMPILED else "sources", file=sys.stderr)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
