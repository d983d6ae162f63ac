"""Strands Agents (span-conventions 5): GenAI operations, with arguments, results and messages in span events.

`execute_event_loop_cycle` is structure. A failed call has `gen_ai.tool.status`; a cancelled one is no failure.
"""

from typing import Final

from schemas.dialects import genai
from schemas.dialects.view import Reading, View

NAME: Final = "strands"
MARKERS: Final = frozenset({"gen_ai.event.start_time", "event_loop.cycle_id"})
SCOPES: Final = frozenset({"strands.telemetry.tracer"})


def read(view: View) -> Reading:
    """The span in canonical fields: GenAI's reader looks into events where attributes are silent."""
    return genai.read(view)
