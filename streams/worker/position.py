"""Whose position it is: an offset means something in one topic only, and a topic that was made anew has the name of the old one.

Beside each committed offset stands the id of the topic that it was read from.
"""

NOTE = "topic-id:"


def note(topic_id: str | None) -> str:
    """What is committed beside an offset; nothing where the broker tells no ids."""
    return f"{NOTE}{topic_id}" if topic_id else ""


def is_of_another(noted: str, topic_id: str | None) -> bool:
    """Whether an offset that was committed with this note belongs to another topic than the one of this id. Without an id on
    either side (an older Stepwatch or broker) nothing is known, and it is trusted."""
    return bool(topic_id) and noted.startswith(NOTE) and noted != note(topic_id)
