"""Ends the stack that runs on a data folder from outside: asks its owner, waits, then clears away what is left.

Only processes that the state file names are touched, and only while they were created when it says they were.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from streams.console.errors import UserError
from streams.local.process import is_alive
from streams.local.state import StackState, is_running, read_state, write_state

STOP_TIMEOUT_S = 90.0
POLL_S = 0.1


def take_down(data_dir: Path) -> bool:
    """Stop the stack on this folder; return when it is gone. False when none ran (leftovers are cleared anyway).

    Raises `UserError` when a stack runs but does not say who owns it, or does not end.
    """
    running, state = is_running(data_dir), read_state(data_dir)
    if running:
        _ask_owner(data_dir, state)
    clear_leftovers(state)
    if state.parts:
        with contextlib.suppress(OSError):
            write_state(data_dir, StackState(ports=state.ports))
    return running


def clear_leftovers(state: StackState) -> list[int]:
    """SIGKILL for every process of the state that still runs, with what it started. Returns their pids."""
    left = [part.pid for part in state.parts.values() if part.pid and is_alive(part.pid, part.created_at)]
    for pid in left:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    return left


def _ask_owner(data_dir: Path, state: StackState) -> None:
    if state.owner is None or not is_alive(state.owner, state.owner_created_at):
        raise UserError(f"some process holds {data_dir}/stack.lock but does not say who it is: end it yourself")
    os.kill(state.owner, signal.SIGTERM)
    if not _gone(data_dir):
        os.kill(state.owner, signal.SIGKILL)
        if not _gone(data_dir):
            raise UserError(f"the stack's process {state.owner} does not end: end it yourself")


def _gone(data_dir: Path) -> bool:
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while is_running(data_dir):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
