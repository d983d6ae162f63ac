"""`python -m tests.bench.redaction`: CPU time per span of decode at each redaction level, beside decode without a redactor."""

import json
import statistics
import time

from rich.console import Console
from rich.table import Table

from schemas.decode import decode
from schemas.redaction.levels import LEVELS
from schemas.redaction.redactor import Redactor
from schemas.registry import Registry
from schemas.span import RawSpan
from schemas.workflow import Workflow
from tests.builders import EPOCH_MS
from tests.schemas.dialect_spans import CHAT, TOOL, raw

ROUNDS, SPANS = 7, 1_000
WORDS = "the order was refunded and the customer was told that it takes three days until the money arrives "
CLEAN = raw({**CHAT, "gen_ai.input.messages": json.dumps([{"role": "user", "content": WORDS * 10}])})
MIXED = raw({**TOOL, "gen_ai.tool.call.arguments": json.dumps({"mail": "bob@example.org", "note": WORDS * 9, "n": 7})})


def us(span: RawSpan, redactor: Redactor | None) -> float:
    """The median of several rounds."""
    took = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(SPANS):
            decode(span, "default", EPOCH_MS, redactor=redactor)
        took.append((time.process_time() - start) / SPANS * 1e6)
    return statistics.median(took)


def main() -> None:
    """Print the table."""
    table = Table("level", "nothing to mask, us", "one address, us", title="decode of a span with 1 KB of content")
    table.add_row("no redactor", *(f"{us(span, None):.1f}" for span in (CLEAN, MIXED)))
    for level in LEVELS:
        redactor = Redactor(
            Registry("bench", {}, (), Workflow("defaults", redaction=level)), b"a secret of some length"
        )
        table.add_row(level, *(f"{us(span, redactor):.1f}" for span in (CLEAN, MIXED)))
    Console().print(table)


if __name__ == "__main__":
    main()
