"""How many bytes the gateway holds: one bound for everything between a socket and Kafka's acknowledgement."""

from streams.gateway.limits import HELD_BYTES_MAX


class OverBudget(Exception):
    """The gateway holds as much as it may. The sender is told to come back."""


class Budget:
    """A counter with a ceiling. Whoever takes gives back."""

    def __init__(self, ceiling: int = HELD_BYTES_MAX) -> None:
        self.ceiling = ceiling
        self.held = 0

    def take(self, size: int) -> None:
        """Add to what is held. Raises OverBudget, and takes nothing, when that would pass the ceiling."""
        if self.held + size > self.ceiling:
            raise OverBudget(f"the gateway holds {self.held} bytes that Kafka has not acknowledged yet")
        self.held += size

    def give_back(self, size: int) -> None:
        """Take off what is no longer held."""
        self.held -= size
        assert self.held >= 0, "more was given back than was taken"
