"""Whether the hot path runs as C or as Python (infra/compile.py). The rows are the same either way.

A compiled module hides its source. One that is older than its source would run in silence: here that is an ImportError.
"""

import hashlib
import json
from pathlib import Path

_PACKAGE = Path(__file__).parent
_MANIFEST = _PACKAGE / "compiled.json"  # what was compiled, from which sources


def check(manifest: Path = _MANIFEST) -> bool:
    """Whether compiled modules are there. Raises ImportError where they are not what the sources say."""
    try:
        compiled = json.loads(manifest.read_text())
    except FileNotFoundError:
        return False
    root = manifest.parent.parent
    for name in compiled["built"]:
        if not (root / name).exists():
            raise ImportError(f"{name} is not there: an interrupted compilation. {_CURE}")
    for name, digest in compiled["sources"].items():
        source = root / name
        if source.exists() and hashlib.sha256(source.read_bytes()).hexdigest() != digest:
            raise ImportError(f"{name} was changed since it was compiled. {_CURE}")
    return True


_CURE = "`make compile` compiles anew; `make pure` goes on with the sources as they are"
IS_COMPILED = check()
