"""Which port each part of the laptop stack gets.

The law: a port the user names is used or refused; a usual port that is taken gives way to a free one, and that is
said. A port once picked is preferred at the next start. Free ports are looked for below the range the kernel gives to
outgoing connections: a client that retries a dead broker's port from that range may be connected to itself, and the
port is lost.
"""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from streams.console.errors import UserError

USUAL = {"kafka": 9092, "clickhouse": 8123, "gateway": 4318}
FLAGS = {"kafka": "--kafka-port", "clickhouse": "--clickhouse-port", "gateway": "--gateway-port"}
ANY = 0  # "any free port", for tests
PICK_FROM = range(20_000, 32_000)
PICK_TRIES = 200


@dataclass(frozen=True, slots=True)
class PortsAsked:
    """The ports a person (or a test) asked for; None leaves the choice to us, ANY takes any free one."""

    kafka: int | None = None
    clickhouse: int | None = None
    gateway: int | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A port, and the sentence that tells of a deviation from the usual one (or an empty string)."""

    port: int
    note: str = ""


def choose(
    name: str, asked: int | None, remembered: int | None, is_free: Callable[[int], bool], pick: Callable[[], int]
) -> Choice:
    """The port for `name` (a key of `USUAL`). Raises `UserError` when the port asked for is taken."""
    if asked is not None and asked != ANY:
        if not is_free(asked):
            raise UserError(f"port {asked} is taken: end what listens there, or choose another with {FLAGS[name]}")
        return Choice(asked)
    if remembered is not None and is_free(remembered):
        return Choice(remembered)
    if asked == ANY:
        return Choice(pick())
    usual = USUAL[name]
    if is_free(usual):
        return Choice(usual)
    port = pick()
    return Choice(port, f"the usual port {usual} is taken, so {port} is used")


def choose_all(
    asked: PortsAsked, remembered: Mapping[str, int], names: tuple[str, ...], take: Callable[[int], bool]
) -> dict[str, Choice]:
    """A port for each of `names`, no two the same. `take` says whether a port is to be had, and has it."""
    chosen: dict[str, Choice] = {}
    for name in names:
        used = {choice.port for choice in chosen.values()}
        chosen[name] = choose(name, getattr(asked, name), remembered.get(name), take, partial(pick_free, used, take))
    return chosen


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether this address can be listened on now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError):
            return False
    return True


class PortClaims:
    """Ports that a stack means to use, for other stacks of this machine: some seconds pass until its parts listen.

    A lock on a file a port in the folder for temporary files; the kernel releases it, whatever ends the stack.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(tempfile.gettempdir())
        self._files: list[int] = []

    def take(self, port: int) -> bool:
        """Claim the port if it is free, and no other stack has claimed it."""
        if not is_free(port):
            return False
        try:
            file = os.open(self._folder / f"stepwatch-{os.getuid()}-port-{port}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError:
            return True  # no folder to agree in: who listens first has it
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(file)
            return False
        self._files.append(file)
        return True

    def release(self) -> None:
        """Give all back."""
        while self._files:
            os.close(self._files.pop())


def pick_free(used: set[int], take: Callable[[int], bool] = is_free) -> int:
    """A free port that is not in `used`."""
    for _ in range(PICK_TRIES):
        port = random.choice(PICK_FROM)  # noqa: S311 - no secret
        if port not in used and take(port):
            return port
    raise UserError(f"no free port between {PICK_FROM.start} and {PICK_FROM.stop}: name the ports yourself")
