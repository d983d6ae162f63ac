"""The disk under the data folder: whether it is full, and the sentence that says so.

Parts that run out of room fail in words of their own, late or never (ClickHouse refuses rows, the scorer waits for
it), so the stack looks itself. The law: no stack runs on a full disk in silence.
"""

import asyncio
import contextlib
import errno
import shutil
from pathlib import Path

from streams.console.errors import UserError

FULL_BELOW_BYTES = 4 * 1024 * 1024  # ClickHouse reserves room in steps of 1 MiB, Kafka fails at the first write
SUSPECT_BELOW_BYTES = 32 * 1024 * 1024  # what fails with so little room has most likely failed for it
LOOK_EVERY_S = 2.0


def free_bytes(data_dir: Path) -> int | None:
    """The room that is left; None when it cannot be asked."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage(data_dir).free
    return None


def check_room(data_dir: Path) -> None:
    """Raises UserError when the disk is full."""
    free = free_bytes(data_dir)
    if free is not None and free < FULL_BELOW_BYTES:
        raise UserError(full_sentence(data_dir))


async def until_full(data_dir: Path) -> None:
    """Look now and then, for ever. Raises UserError once the disk is full."""
    while True:
        check_room(data_dir)
        await asyncio.sleep(LOOK_EVERY_S)


def blame_disk(data_dir: Path, error: UserError) -> UserError:
    """The error, or that the disk is full where that will be its reason."""
    free = free_bytes(data_dir)
    if free is None or free >= SUSPECT_BELOW_BYTES or "is full" in str(error):
        return error
    return UserError(f"{full_sentence(data_dir)} ({error})")


def disk_sentence(data_dir: Path, error: OSError) -> str:
    """The sentence for a data folder that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return full_sentence(data_dir)
    return f"the data folder {data_dir} cannot be written ({error.strerror}): choose another --data-dir"


def full_sentence(data_dir: Path) -> str:
    """What to do about a full disk."""
    return f"the disk of {data_dir} is full: make room, or choose another --data-dir"
