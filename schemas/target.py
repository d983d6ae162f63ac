"""Where alerts are delivered to, as values. `schemas/targets.py` reads them from `targets.yaml`.

The law: no secret is in here, only where it lies; so a target may be logged, compared and shown.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

from schemas.rule import glob_fits

Kind = Literal["webhook", "slack", "pagerduty", "alertmanager", "file"]
Network = IPv4Network | IPv6Network
PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret lies: `${ENV:NAME}` or `file:/path`."""

    place: Literal["env", "file"]
    name: str

    def __str__(self) -> str:
        return f"${{ENV:{self.name}}}" if self.place == "env" else f"file:{self.name}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """CloudEvents in structured mode, signed as Standard Webhooks say."""

    url: str | SecretRef
    secrets: tuple[SecretRef, ...]  # two while they are rotated: each signs
    bearer_token: SecretRef | None


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook. Its URL is the secret."""

    url: SecretRef


@dataclass(frozen=True, slots=True)
class PagerDuty:
    """Events API v2: trigger and resolve."""

    routing_key: SecretRef
    url: str


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """API v2. `url` is its root, `/api/v2/alerts` is ours to add."""

    url: str | SecretRef
    bearer_token: SecretRef | None


@dataclass(frozen=True, slots=True)
class File:
    """One JSON object a line; `-` is standard output."""

    path: str


Destination = Webhook | Slack | PagerDuty | Alertmanager | File


@dataclass(frozen=True, slots=True)
class Allow:
    """What a target may reach beyond https on port 443 of a public address."""

    http: bool = False
    ports: tuple[int, ...] = ()
    networks: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """How long, and how often, a delivery that failed is tried again."""

    first_s: float = 5.0
    most_s: float = 3_600.0
    give_up_after_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Target:
    """One place, and how it is treated."""

    name: str
    kind: Kind
    destination: Destination
    updates: bool  # whether `updated` events go there, which say every 15 minutes that an alert still fires
    rate_per_s: float
    timeout_s: float  # of a whole request, its answer included
    retry: Retry
    allow: Allow


@dataclass(frozen=True, slots=True)
class Route:
    """Which events go to which targets. Every route that fits adds its targets."""

    tenant: str
    workflow: str
    severities: frozenset[str]  # empty: any
    labels: tuple[tuple[str, str], ...]  # label name and glob
    to: frozenset[str]

    def fits(self, tenant: str, severity: str, labels: Mapping[str, str]) -> bool:
        """Whether an event with these labels takes this route. A label that is not there is the empty text."""
        return (
            glob_fits(self.tenant, tenant)
            and glob_fits(self.workflow, labels.get("workflow", ""))
            and (not self.severities or severity in self.severities)
            and all(glob_fits(glob, labels.get(name, "")) for name, glob in self.labels)
        )


@dataclass(frozen=True, slots=True)
class Targets:
    """All targets and routes of one file."""

    targets: tuple[Target, ...] = ()
    routes: tuple[Route, ...] = ()

    def named(self, name: str) -> Target | None:
        """The target of this name."""
        return next((target for target in self.targets if target.name == name), None)
