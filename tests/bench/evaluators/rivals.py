"""FutureAGI's `ai-evaluation` beside us, in an environment of its own below `.bench`: never a dependency, never imported."""

import json
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

from rich.console import Console

PACKAGE, VERSION = "ai-evaluation", "1.1.0"
FOLDER = Path(__file__).parents[3] / ".bench" / f"{PACKAGE}-{VERSION}"
WORKER = Path(__file__).with_name("rival_worker.py")


class NoRival(Exception):
    """Its environment could not be made, or its worker failed; the message says why."""


def environment(screen: Console) -> Path:
    """The python of its environment, made at the first asking."""
    python, stamp = FOLDER / "bin" / "python", FOLDER / ".installed"
    if not stamp.exists():
        with screen.status(f"Installing {PACKAGE} {VERSION} into {FOLDER} (about a minute) ..."):
            venv.create(FOLDER, clear=True, with_pip=True)
            _run([python, "-I", "-m", "pip", "install", "--disable-pip-version-check", "-q", f"{PACKAGE}=={VERSION}"])
        stamp.touch()
    return python


def ask(python: Path, given: dict[str, Any]) -> dict[str, Any]:
    """What its worker answers to this input."""
    with tempfile.TemporaryDirectory() as folder:
        said, answer = Path(folder) / "input.json", Path(folder) / "answer.json"
        said.write_text(json.dumps(given))
        _run([python, "-I", WORKER, said, answer])  # not our import path
        found: dict[str, Any] = json.loads(answer.read_text())
    if found["version"] != VERSION:
        raise NoRival(f"{FOLDER} holds {PACKAGE} {found['version']}, not {VERSION}; remove it")
    return found


def _run(command: list[Any]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoRival(f"{' '.join(map(str, command[:4]))} ...: {done.stderr.strip()[-600:] or 'failed without a word'}")
