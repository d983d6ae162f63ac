"""How many bytes the gateway holds: one bound for everything between a socket and Kafka's acknowledgement, and half of it for a
tenant where there are several, so that one that sends much slowly does not shut the others out."""

from typing import Protocol

from streams.gateway.limits import HELD_BYTES_MAX


class OverBudget(Exception):
    """The gateway holds as much as it may. The sender is told to come back."""


class Holder(Protocol):
    """Whoever takes gives back."""

    def take(self, size: int) -> None:
        """Add to what is held. Raises OverBudget, and takes nothing, when that would pass the ceiling."""

    def give_back(self, size: int) -> None:
        """Take off what is no longer held."""


class Budget:
    """A counter with a ceiling, of all tenants together."""

    def __init__(self, ceiling: int = HELD_BYTES_MAX) -> None:
        self.ceiling = ceiling
        self.held = 0
        self.several = False  # whether more than one tenant may send
        self._shares: dict[str, Share] = {}

    def of(self, tenant: str) -> "Share":
        """What this tenant holds of it."""
        found = self._shares.get(tenant)
        if found is None:
            found = self._shares[tenant] = Share(self, tenant)
        return found

    def take(self, size: int) -> None:
        """As a Holder."""
        if self.held + size > self.ceiling:
            raise OverBudget(f"the gateway holds {self.held} bytes that Kafka has not acknowledged yet")
        self.held += size

    def give_back(self, size: int) -> None:
        """As a Holder."""
        self.held -= size
        assert self.held >= 0, "more was given back than was taken"


class Share:
    """What one tenant holds of a budget."""

    def __init__(self, budget: Budget, tenant: str) -> None:
        self._budget, self._tenant = budget, tenant
        self.held = 0

    def take(self, size: int) -> None:
        """As a Holder."""
        if self._budget.several and self.held + size > self._budget.ceiling // 2:
            raise OverBudget(f"{self.held} bytes of tenant {self._tenant} are held that Kafka has not acknowledged yet")
        self._budget.take(size)
        self.held += size

    def give_back(self, size: int) -> None:
        """As a Holder."""
        self.held -= size
        assert self.held >= 0, "more was given back than was taken"
        self._budget.give_back(size)
