"""How rarely this process looks for cycles of garbage: what streams through it has none, and looking often only costs."""

import gc

NEW_OBJECTS = 1_000_000  # more than a flush holds at once: so in steady flow hardly ever


def collect_rarely() -> None:
    """To be called once, when everything is imported. What is there then is never looked at again."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, 20, 50)
