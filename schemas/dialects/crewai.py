"""CrewAI's own telemetry (span-conventions 5): instantaneous spans without a tree, beside those of a real instrumentor.

They are annotations, never steps: `Tool Usage` of a call that another span tells would count it twice.
"""

from typing import Final

from schemas.dialects.context import session_of, workflow_of
from schemas.dialects.view import Reading, View

NAME: Final = "crewai"
MARKERS: Final = frozenset({"crew_key", "crew_fingerprint"})
SCOPES: Final = frozenset({"crewai.telemetry"})


def read(view: View) -> Reading:
    """Structure."""
    view.rule = "0: telemetry of CrewAI"
    return Reading(kind="internal", workflow=workflow_of(view) or view.low("flow_name"), session_id=session_of(view))
