"""The dialects of agent spans, one small file each, and the choice between them.

A dialect is a module with `NAME`, `MARKERS` (keys any of which claims a span) and `read(view) -> Reading`: pure functions from a
span's attributes to the canonical fields (span-conventions 6). To add one: write the file, add its line here.

Markers decide, in the order of the list. Only where none but GenAI's is there does the scope break the tie: exporters
lose scopes (span-conventions 8.2). `generic` reads what no dialect claims, so that no span is lost.
"""

from types import ModuleType
from typing import Final

from schemas.dialects import (
    adk,
    autogen,
    crewai,
    genai,
    generic,
    langfuse,
    langsmith,
    mcp,
    microsoft,
    mlflow,
    openai_agents,
    openinference,
    openlit,
    openllmetry,
    pydantic_ai,
    strands,
    traceai,
    vercel,
)
from schemas.dialects.context import shape_of
from schemas.dialects.view import Reading, View

# Order matters: who re-exports others' spans comes first, who adds keys to GenAI's comes before it.
DIALECTS: Final[tuple[ModuleType, ...]] = (
    langfuse,
    langsmith,
    traceai,
    openinference,
    mlflow,
    pydantic_ai,
    openllmetry,
    vercel,
    adk,
    strands,
    mcp,
    autogen,
    microsoft,
    openlit,
    genai,
    crewai,
)
_ORDER: Final[dict[str | bytes, int]] = {
    key: place for place, dialect in reversed(tuple(enumerate(DIALECTS))) for key in dialect.MARKERS
}
_MARKERS: Final = frozenset(_ORDER)
_BENEATH: Final = frozenset(key for key, place in _ORDER.items() if DIALECTS[place] is not langfuse)
_BY_SCOPE: Final[dict[str, ModuleType]] = {
    scope: dialect
    for dialect in (adk, autogen, crewai, mcp, microsoft, openai_agents, pydantic_ai, strands, vercel)
    for scope in dialect.SCOPES
}
_OF_GENAI: Final = DIALECTS.index(genai)


def read(view: View) -> tuple[str, Reading]:
    """The name of the dialect that understood the span, and what it read."""
    dialect = choose(view)
    if dialect is langfuse:
        return langfuse.NAME, langfuse.read(view, _beneath)
    return dialect.NAME, dialect.read(view)


def choose(view: View) -> ModuleType:
    """The dialect that reads this span."""
    shape = shape_of(view)
    if shape.place is None:
        shape.place = _first_marked(view, _MARKERS)
    return _chosen(view, shape.place)


def _beneath(view: View) -> Reading | None:
    """What a span says without Langfuse's keys; None where nothing else claims it."""
    dialect = _chosen(view, _first_marked(view, _BENEATH))
    return None if dialect is generic else dialect.read(view)


def _first_marked(view: View, markers: frozenset[str | bytes]) -> int:
    """The place in the list of the first dialect whose marker is among the keys; after all of them without one."""
    return min((_ORDER[key] for key in view.keys & markers), default=len(DIALECTS))


def _chosen(view: View, place: int) -> ModuleType:
    marked = place < len(DIALECTS)
    if marked and place != _OF_GENAI:
        return DIALECTS[place]
    scoped = _BY_SCOPE.get(view.scope)
    if scoped is not None:
        return scoped if marked or scoped is not openai_agents else generic
    if not marked:
        return autogen if autogen.SCOPE.match(view.scope) else generic
    return openllmetry if openllmetry.CONTEXT in view.keys else genai
