"""The environments of the pairs: built with uv where it is there, with venv and pip otherwise; kept outside the checkout's own.

Below `.venv-instrumentors/`, or where STEPWATCH_INSTRUMENTORS says. A pair whose requirements changed is built anew.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PAIRS = sorted(path.parent.name for path in HERE.glob("*/connect.py"))
KEPT = Path(os.environ.get("STEPWATCH_INSTRUMENTORS") or HERE.parents[1] / ".venv-instrumentors")
RUN_S_MAX = 180.0


def is_built(pair: str) -> bool:
    """Whether the environment of a pair is there, with the packages that it asks for now."""
    stamp = KEPT / pair / "installed.txt"
    return stamp.exists() and stamp.read_bytes() == _requirements(pair).read_bytes()


def build(pair: str) -> None:
    """Build the environment of a pair, if it is not there. Raises CalledProcessError when packages cannot be had."""
    if is_built(pair):
        return
    folder = KEPT / pair
    shutil.rmtree(folder, ignore_errors=True)
    wanted = str(_requirements(pair))
    uv = shutil.which("uv")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", _python(pair), "-r", wanted], check=True)
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([_python(pair), "-m", "pip", "install", "--quiet", "-r", wanted], check=True)
    shutil.copy(wanted, folder / "installed.txt")


def run(pair: str, endpoint: str) -> None:
    """Run the refund desk under a pair, exporting to an OTLP/HTTP endpoint. Raises RuntimeError with its last words."""
    given = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    given |= {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(KEPT / pair)}
    command = [_python(pair), str(HERE / "inside" / "run.py"), pair]
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=RUN_S_MAX, cwd=KEPT / pair)
    if done.returncode:
        raise RuntimeError(f"{pair} ended with {done.returncode}:\n{done.stderr[-3000:]}")


def _requirements(pair: str) -> Path:
    return HERE / pair / "requirements.txt"


def _python(pair: str) -> str:
    return str(KEPT / pair / "bin" / "python")
