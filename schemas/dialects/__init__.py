"""The dialects of agent spans, one small file each, and the choice between them.

A dialect is a module with `NAME`, `MARKERS` (keys any of which claims a span) and `read(view) -> Reading`: pure functions from a
span's attributes to the canonical fields (span-conventions 6). To add one: write the file, add its line here.

Markers decide, in the order of the list. Only where none but GenAI's is there does the scope or the system's name break the tie:
exporters lose scopes (span-conventions 8.2). `generic` reads what no dialect claims, so that no span is lost.
"""

from types import ModuleType

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
from schemas.dialects.view import Reading, View

# Order matters: who re-exports others' spans comes first, who adds keys to GenAI's comes before it.
DIALECTS: tuple[ModuleType, ...] = (
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
_ORDER: dict[str | bytes, int] = {
    key: place for place, dialect in reversed(tuple(enumerate(DIALECTS))) for key in dialect.MARKERS
}
_MARKERS = frozenset(_ORDER)
_BENEATH = frozenset(key for key, place in _ORDER.items() if DIALECTS[place] is not langfuse)
_BY_SCOPE: dict[str, ModuleType] = {
    scope: dialect
    for dialect in (adk, autogen, crewai, mcp, microsoft, openai_agents, pydantic_ai, strands, vercel)
    for scope in dialect.SCOPES
}
_BY_SYSTEM: dict[str, ModuleType] = {system: dialect for dialect in (autogen, strands) for system in dialect.SYSTEMS}
_OF_GENAI = DIALECTS.index(genai)


def read(view: View) -> tuple[str, Reading]:
    """The name of the dialect that understood the span, and what it read."""
    dialect = choose(view, _MARKERS)
    if dialect is langfuse:
        return langfuse.NAME, langfuse.read(view, _beneath)
    return dialect.NAME, dialect.read(view)


def _beneath(view: View) -> Reading | None:
    """What a span says without Langfuse's keys; None where nothing else claims it."""
    dialect = choose(view, _BENEATH)
    return None if dialect is generic else dialect.read(view)


def choose(view: View, markers: frozenset[str | bytes] = _MARKERS) -> ModuleType:
    """The dialect that reads this span."""
    found = view.keys & markers
    place = min([_ORDER[key] for key in found]) if found else len(DIALECTS)
    if found and place != _OF_GENAI:
        return DIALECTS[place]
    scoped = _BY_SCOPE.get(view.scope)
    if scoped is not None:
        return scoped if scoped is not openai_agents or found else generic
    if not found:
        return autogen if autogen.SCOPE.match(view.scope) else generic
    if openllmetry.CONTEXT in view.keys:
        return openllmetry
    return _BY_SYSTEM.get(view.lowest("gen_ai.system", "gen_ai.provider.name"), genai)
