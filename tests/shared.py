"""Recorded data that lies beside the project, not in it: tests that use it skip, saying so, where it is absent."""

import os
from pathlib import Path

import pytest


def shared(path: str) -> Path:
    """A file or folder below the shared folder: `STEPWATCH_SHARED`, or `../shared` beside the checkout."""
    root = Path(os.environ.get("STEPWATCH_SHARED") or Path(__file__).parents[2] / "shared")
    found = root / path
    if not found.exists():
        pytest.skip(f"recorded data are not here: {path} below ../shared (set STEPWATCH_SHARED to where they lie)")
    return found
