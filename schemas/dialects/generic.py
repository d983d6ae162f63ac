"""Every other span: kept, never a step, so that nothing is lost and the unknown can be counted by scope."""

from schemas.dialects.view import Reading, View

NAME = "generic"


def claims(view: View) -> bool:
    """Always."""
    return True


def read(view: View) -> Reading:
    """Structure: a name, a session if it says one, an error type."""
    return Reading(
        kind="internal",
        session_id=view.first("session.id", "gen_ai.conversation.id") or "",
        error_type=view.low("error.type"),
    )
