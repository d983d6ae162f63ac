"""Stepwatch's own parts as processes of the laptop stack: gateway, scorers, alerter.

Each is the same command that runs alone in production (`stepwatch gateway|scorer|alerter`), told its addresses
through STEPWATCH_* and nothing else. "Ready" is seen from outside: a gateway that accepts connections, a worker that
has joined its consumer group.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.local.process import Child, spawn, until_ready
from streams.settings import Settings

READY_TIMEOUT_S = 60.0
STOP_GRACE_S = 20.0
GROUP_POLL_S = 0.3


@dataclass(frozen=True, slots=True)
class ConsolePart:
    """One `stepwatch <command>` process."""

    command: str
    log: Path
    environment: Mapping[str, str]
    ready: Callable[[Child], Awaitable[bool]]

    async def start(self) -> Child:
        """Start the process; return at once."""
        # -P: the current folder is the user's and may hold a `streams` of its own.
        return await spawn(
            (sys.executable, "-P", "-m", "streams.console", self.command), self.log, environment=self.environment
        )

    async def wait_ready(self, child: Child) -> None:
        """Return when it serves; raise `UserError` when it ends or takes too long."""
        await until_ready(child, lambda: self.ready(child), f"the {self.command}", READY_TIMEOUT_S)


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


async def accepts(host: str, port: int) -> bool:
    """Whether something accepts connections at this address."""
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def in_group(settings: Settings, group: str, members: int) -> bool:
    """Whether the consumer group is stable with at least so many members."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    from streams.topics import kafka_options

    await asyncio.sleep(GROUP_POLL_S)  # joining takes seconds: no need to ask at the pace of a port
    admin = AIOKafkaAdminClient(**kafka_options(settings), request_timeout_ms=5_000)
    try:
        await admin.start()
        answers = await admin.describe_consumer_groups([group])
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()
    return any(state == "Stable" and len(found) >= members for state, found in map(_group_of, answers))


def _group_of(answer: Any) -> tuple[str, list[Any]]:
    (_code, _name, state, _protocol_type, _protocol, found, *_) = answer.groups[0]
    return state, found
