"""Stepwatch's own parts as processes of the laptop stack: gateway, scorers, alerter.

Each is the same command that runs alone in production (`stepwatch gateway|scorer|alerter`), told its addresses
through STEPWATCH_* and nothing else. "Ready" is seen from outside: a gateway that accepts connections, a worker that
has joined its consumer group, where a killed predecessor may still be listed for the length of a session.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import SecretStr

from streams.local.process import Child, listens, spawn, until_ready
from streams.settings import Settings

READY_TIMEOUT_S = 60.0
STOP_GRACE_S = 20.0
GROUP_POLL_S = 0.3


class Readiness(Protocol):
    """When a part serves, as seen from outside."""

    async def before_start(self) -> None:
        """Called right before each start."""
        ...

    async def holds(self, child: Child) -> bool:
        """Whether the child serves now."""
        ...


@dataclass(frozen=True, slots=True)
class ConsolePart:
    """One `stepwatch <command>` process."""

    command: str
    log: Path
    environment: Mapping[str, str]
    readiness: Readiness

    async def start(self) -> Child:
        """Start the process; return at once."""
        await self.readiness.before_start()
        # -P: the current folder is the user's and may hold a `streams` of its own.
        return await spawn(
            (sys.executable, "-P", "-m", "streams.console", self.command), self.log, environment=self.environment
        )

    async def wait_ready(self, child: Child) -> None:
        """Return when it serves; raise `UserError` when it ends or takes too long."""
        await until_ready(child, lambda: self.readiness.holds(child), f"the {self.command}", READY_TIMEOUT_S)


def environment_of(settings: Settings, overrides: Mapping[str, str]) -> dict[str, str]:
    """Ours, then every field that was set, then the overrides: a child reads exactly these settings."""
    return {**os.environ, **variables(settings), "PYTHONUNBUFFERED": "1", **overrides}


def variables(settings: Settings, *, secrets: bool = True) -> dict[str, str]:
    """The fields that were set, as STEPWATCH_* variables. Without `secrets` the passwords are left out."""
    values = {name: getattr(settings, name) for name in sorted(settings.model_fields_set)}
    return {
        f"STEPWATCH_{name.upper()}": _spelled(value)
        for name, value in values.items()
        if value is not None and (secrets or not isinstance(value, SecretStr))
    }


def _spelled(value: Any) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@dataclass(frozen=True, slots=True)
class Accepts:
    """The child accepts connections at this address."""

    host: str
    port: int

    async def before_start(self) -> None:
        """Nothing to note."""

    async def holds(self, child: Child) -> bool:
        """Whether a connection is accepted now."""
        try:
            async with asyncio.timeout(3):
                _, writer = await asyncio.open_connection(self.host, self.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return listens(child, self.port)


@dataclass(slots=True)
class JoinedGroup:
    """The consumer group is stable, has so many members, and one of them is new since the part was started."""

    settings: Settings
    group: str
    members: int
    known: frozenset[str] = frozenset()

    async def before_start(self) -> None:
        """Note who is listed already: others, and the dead whose session has not ended."""
        _, self.known = await group_members(self.settings, self.group)

    async def holds(self, child: Child) -> bool:
        """Whether the new member has joined. Asked at the pace of joining, which takes seconds."""
        await asyncio.sleep(GROUP_POLL_S)
        state, now = await group_members(self.settings, self.group)
        return state == "Stable" and len(now) >= self.members and bool(now - self.known)


async def group_members(settings: Settings, group: str) -> tuple[str, frozenset[str]]:
    """The group's state and its member ids as the broker sees them; ("", none) when it cannot be asked."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    from streams.topics import kafka_options

    admin = AIOKafkaAdminClient(**kafka_options(settings), request_timeout_ms=5_000)
    try:
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([group])
    except (KafkaError, OSError, TimeoutError):
        return "", frozenset()
    finally:
        await admin.close()
    (_error, _group, state, _protocol_type, _protocol, members, *_) = answer.groups[0]
    return state, frozenset(member[0] for member in members)
