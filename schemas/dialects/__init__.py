"""The dialects of agent spans, one small file each, and the choice between them.

A dialect is a module with `NAME`, `claims(view) -> bool` and `read(view) -> Reading`: pure functions from a span's attributes
to the canonical fields (span-conventions 6). To add one: write the file, add its line here. The first that claims a span reads
it; `generic` claims every span, so that none is lost.
"""

from types import ModuleType

from schemas.dialects import genai, generic, openinference
from schemas.dialects.view import Reading, View

# Order matters: OpenInference may dual-write gen_ai.* on the same span, and then its markers decide.
DIALECTS: tuple[ModuleType, ...] = (openinference, genai, generic)


def read(view: View) -> tuple[str, Reading]:
    """The name of the dialect that understood the span, and what it read."""
    for dialect in DIALECTS:
        if dialect.claims(view):
            return dialect.NAME, dialect.read(view)
    raise AssertionError("generic claims every span")
