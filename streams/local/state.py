"""What a running laptop stack tells others about itself: `stack.json` and the lock in the data folder.

The lock (held by the owner for its whole life, released by the kernel whatever ends it) says whether a stack runs;
the file says where. The file outlives the stack: its ports are preferred at the next start. Pids are kept with their
creation time, so that a later process with the same pid is never signalled.
"""

import fcntl
import os
import shlex
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streams.console.errors import UserError
from streams.local.disk import disk_sentence
from streams.settings import Settings

STATE_FILE = "stack.json"
LOCK_FILE = "stack.lock"
PREFIX = "STEPWATCH_"


class PartState(BaseModel):
    """One part as its owner last saw it."""

    model_config = ConfigDict(frozen=True)

    state: str
    address: str = ""
    pid: int | None = None
    created_at: float = 0.0  # of the process, epoch seconds
    since: float = 0.0  # of this state, epoch seconds
    log: str = ""


class StackState(BaseModel):
    """The whole stack. `owner` is the process that holds the lock."""

    model_config = ConfigDict(frozen=True)

    owner: int | None = None
    owner_created_at: float = 0.0
    ports: dict[str, int] = Field(default_factory=dict)
    parts: dict[str, PartState] = Field(default_factory=dict)
    settings: dict[str, str] = Field(default_factory=dict)  # STEPWATCH_* for a client of this stack; no secrets


def read_state(data_dir: Path) -> StackState:
    """The state as last written; an empty one when there is none or it cannot be read."""
    try:
        return StackState.model_validate_json((data_dir / STATE_FILE).read_bytes())
    except (OSError, ValidationError):
        return StackState()


def write_state(data_dir: Path, state: StackState) -> None:
    """Replace the state as a whole: a reader never sees half of it."""
    part = data_dir / f"{STATE_FILE}.part"
    part.write_text(state.model_dump_json(indent=1), encoding="utf-8")
    part.replace(data_dir / STATE_FILE)


class DataDirLock:
    """The right to run a stack on a data folder."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._file = -1

    def acquire(self) -> None:
        """Make the folder and take the lock. Raises `UserError` when a stack runs there, or it cannot be written."""
        try:
            self._data_dir.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise UserError(already_runs(self._data_dir, read_state(self._data_dir))) from None
        except OSError as error:
            self.release()
            raise UserError(disk_sentence(self._data_dir, error)) from error

    def release(self) -> None:
        """Give the right back; harmless when it is not held."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def effective_settings(settings: Settings) -> Settings:
    """These settings, and the addresses of the stack that runs on their data folder where no other were given.

    The stack may have had to leave the usual ports, so every command that talks to it begins here.
    """
    if not is_running(settings.data_dir):
        return settings
    told = {name.removeprefix(PREFIX).lower(): value for name, value in read_state(settings.data_dir).settings.items()}
    return Settings(**{**told, **{name: getattr(settings, name) for name in settings.model_fields_set}})


def is_running(data_dir: Path) -> bool:
    """Whether some process holds the lock of this data folder now."""
    try:
        with (data_dir / LOCK_FILE).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def already_runs(data_dir: Path, state: StackState) -> str:
    """The sentence for a second start on the same folder."""
    where = ", ".join(f"{name} at {part.address}" for name, part in state.parts.items() if part.address)
    return (
        f"a stack runs on {data_dir} already (process {state.owner}{'; ' + where if where else ''}): use it, stop it "
        f"with `stepwatch down --data-dir {shlex.quote(str(data_dir))}`, or choose another --data-dir"
    )
