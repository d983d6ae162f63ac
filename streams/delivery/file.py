"""Events into a file or standard output, one JSON document a line. An event counts as delivered when the disk has it."""

import asyncio
import os
import sys
from pathlib import Path

from streams.delivery.verdict import OK, Answer

STDOUT = "-"


async def append(path: str, documents: bytes) -> Answer:
    """Write whole lines; a file is made where there is none, its folder is not."""
    try:
        await asyncio.to_thread(_to_stdout if path == STDOUT else _to_file, path, documents)
    except (OSError, ValueError) as error:  # ValueError: standard output is closed
        return Answer(failure="storage", detail=getattr(error, "strerror", None) or str(error))
    return OK


def _to_stdout(_path: str, documents: bytes) -> None:
    sys.stdout.buffer.write(documents)
    sys.stdout.buffer.flush()


def _to_file(path: str, documents: bytes) -> None:
    with Path(path).open("ab+") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # a line that a crash cut off must not swallow the next one
                documents = b"\n" + documents
        file.write(documents)
        file.flush()
        os.fsync(file.fileno())
