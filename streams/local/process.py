"""One child process of the laptop stack: started in its own session, its output in a log file, stopped within a bound.

Its own session, so that a Ctrl-C at the terminal reaches only the process that owns the stack, which then stops the
parts in their order. Tethered (`tether.py`), so that no part outlives its owner. Start children from the thread that
lives as long as the stack does: the kernel ties a child to the thread that forked it.
"""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import psutil

from streams.console.errors import UserError

TETHER = Path(__file__).with_name("tether.py")
LOG_BYTES_MAX = 16 * 1024 * 1024  # a greater log is put aside at the next start, one generation is kept
TAIL_BYTES = 32 * 1024
READY_POLL_S = 0.05
NOISE = re.compile(r"^\s*$|^\s+at |^\s*\.\.\. \d+ more|^WARNING: |\[warning\]\[aot|^Picked up JAVA_TOOL_OPTIONS")
TROUBLE = re.compile(r"\b(ERROR|FATAL|CRITICAL)\b|error:|\w+(Error|Exception)\b|refused|No space left", re.IGNORECASE)


@dataclass(slots=True)
class Child:
    """A running (or ended) process and where it writes."""

    process: asyncio.subprocess.Process
    log: Path
    created_at: float  # psutil's create_time: tells this process from a later one with the same pid
    log_from: int = 0  # the byte of the log where its own output begins

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group's."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.returncode is None

    def signal(self, number: int) -> None:
        """Send a signal; a process that has ended already is no error."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill_group(self) -> None:
        """SIGKILL for the process and for whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def stop(self, grace_s: float) -> int:
        """SIGTERM, at most `grace_s` of waiting, then SIGKILL for the whole group. Returns the exit code."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), grace_s)
        except TimeoutError:
            pass
        finally:
            self.kill_group()
        return await self.process.wait()


async def spawn(
    command: Sequence[str], log: Path, *, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Child:
    """Start a tethered child whose output is appended to `log`."""
    with open_log(log) as out:
        log_from = out.tell()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(TETHER), str(os.getpid()), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env=dict(environment) if environment is not None else None,
            start_new_session=True,
        )
    return Child(process, log, created_at(process.pid) or time.time(), log_from)


async def until_ready(child: Child, ready: Callable[[], Awaitable[bool]], what: str, timeout_s: float) -> None:
    """Poll `ready` until it holds. Raises `UserError`, with the log's last words, when the child ends or time is up."""
    deadline = time.monotonic() + timeout_s
    while not await ready():
        if not child.running:
            words = last_words(child.log, child.log_from).removeprefix("error: ") or "it wrote nothing"
            raise UserError(f"{what} ended while starting: {words} ({child.log})")
        if time.monotonic() > deadline:
            raise UserError(
                f"{what} was not ready in {timeout_s:.0f} s: {last_words(child.log, child.log_from)} ({child.log})"
            )
        await asyncio.sleep(READY_POLL_S)


def open_log(log: Path) -> BinaryIO:
    """The log, opened for appending; one that has grown too large is put aside first."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(log.suffix + ".1"))
    return log.open("ab")


def created_at(pid: int) -> float | None:
    """When the process with this id was started (epoch seconds); None when there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def is_alive(pid: int, created: float) -> bool:
    """Whether exactly this process still runs: a later one with the same id was created at another time."""
    found = created_at(pid)
    if found is None or abs(found - created) > 1.0:
        return False
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


def listens(child: Child, port: int) -> bool:
    """Whether it is this child, or what it started, that listens on the port: another's answer is no sign of it."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(child.pid)
        for one in (process, *process.children(recursive=True)):
            for socket in one.net_connections("tcp"):
                if socket.status == psutil.CONN_LISTEN and socket.laddr.port == port:
                    return True
    return False


def last_words(log: Path, since_byte: int = 0) -> str:
    """The line of the log that says best why a process ended: the last that names trouble, else the last at all."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(since_byte, log.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if not NOISE.search(line)]
    trouble = [line for line in lines if TROUBLE.search(line)]
    return (trouble or lines or [""])[-1][:300]
