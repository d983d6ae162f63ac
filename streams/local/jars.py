"""The jars of the local broker: fetched once from Maven Central by jgo, into a cache that all data folders share.

The list in `infra/kafka/jars.sha256` is the truth: exact files in Maven's layout, with our own sums (jgo only warns
of a mismatch). The law of the cache folder: a file under its final name has the right sum. So a fetch may be
interrupted anywhere and is simply run again; what is there already is kept, what is wrong is fetched anew.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from streams.console.errors import UserError

KAFKA_VERSION = "4.4.0"
JAR_LIST = Path(__file__).parents[2] / "infra" / "kafka" / "jars.sha256"
DOWNLOAD_TIMEOUT_S = 30
LOCK_WAIT_MAX_S = 600.0
LOCK_POLL_S = 0.2

Progress = Callable[[int, int, str], None]
"""Called with (jars that are there, jars in all, what happens now). It may raise to abandon the fetch."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One jar: where Maven's layout has it, and the SHA-256 it must have."""

    path: str
    sha256: str

    @property
    def name(self) -> str:
        """Its file name, unique in the list."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def coordinates(self) -> tuple[str, str, str]:
        """Group, artifact and version, which the layout spells out."""
        *group, artifact, version, _ = self.path.split("/")
        return ".".join(group), artifact, version


def read_list(path: Path = JAR_LIST) -> tuple[Jar, ...]:
    """The jars that make up the broker, in the order of the class path."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.split() for line in lines if line and not line.startswith("#"))
    return tuple(sorted((Jar(where, sha256) for sha256, where in pairs), key=lambda jar: jar.name))


def cache_dir(data_dir: Path) -> Path:
    """Where the jars live: the user's cache folder, or `<data_dir>/kafka/lib` when the home cannot be written."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    shared = base / "stepwatch" / f"kafka-{KAFKA_VERSION}"
    try:
        shared.mkdir(parents=True, exist_ok=True)
    except OSError:
        return data_dir / "kafka" / "lib"
    return shared if os.access(shared, os.W_OK) else data_dir / "kafka" / "lib"


def has_sum(path: Path, sha256: str) -> bool:
    """Whether the file is there and its SHA-256 is this."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == sha256
    except OSError:
        return False


def missing(folder: Path, jars: tuple[Jar, ...]) -> list[Jar]:
    """The jars that are not there, or are there with a wrong sum."""
    return [jar for jar in jars if not has_sum(folder / jar.name, jar.sha256)]


def ensure_jars(folder: Path, progress: Progress, jars: tuple[Jar, ...] | None = None) -> list[Path]:
    """The class path: every jar of the list, verified; fetches what is missing. Blocking.

    Raises `UserError` when a download fails, a sum is wrong or the disk is full; running it again goes on from there.
    """
    jars = read_list() if jars is None else jars
    try:
        if missing(folder, jars):
            folder.mkdir(parents=True, exist_ok=True)
            with _only_one_fetches(folder, progress):
                _fetch(folder, missing(folder, jars), len(jars), progress)
    except OSError as error:
        raise _disk_trouble(folder, error) from error
    return [folder / jar.name for jar in jars]


def _fetch(folder: Path, wanted: list[Jar], total: int, progress: Progress) -> None:
    staging = folder / ".part"
    for index, jar in enumerate(wanted):
        progress(total - len(wanted) + index, total, jar.name)
        part = staging / jar.path
        _obtain(jar, part, staging)
        part.replace(folder / jar.name)
    shutil.rmtree(staging, ignore_errors=True)


def _obtain(jar: Jar, part: Path, staging: Path) -> None:
    """Put the verified jar at `part`: from the user's own Maven repository if it has it, else by download."""
    from jgo.config import GlobalSettings

    part.unlink(missing_ok=True)  # what an interrupted fetch left
    part.parent.mkdir(parents=True, exist_ok=True)
    settings = GlobalSettings.load()
    local = settings.repo_cache / jar.path
    if has_sum(local, jar.sha256):
        shutil.copyfile(local, part)
    else:
        _download(jar, staging, settings.repositories)
    if not has_sum(part, jar.sha256):
        raise UserError(
            f"{jar.name} was downloaded with a wrong SHA-256 sum, so it is not used: try again, and if it stays so "
            "look for a proxy or mirror that alters downloads"
        )


def _download(jar: Jar, staging: Path, repositories: dict[str, str]) -> None:
    from jgo import MAVEN_CENTRAL_URL
    from jgo.maven import MavenContext
    from requests import RequestException

    remote = {**repositories, "central": MAVEN_CENTRAL_URL}
    context = MavenContext(repo_cache=staging, remote_repos=remote, timeout=DOWNLOAD_TIMEOUT_S)
    group, artifact, version = jar.coordinates
    try:
        context.project(group, artifact).at_version(version).artifact().resolve()
    except (RequestException, RuntimeError) as error:
        raise UserError(
            f"could not download {jar.name} from Maven Central ({type(error).__name__}): check the network "
            "(HTTPS_PROXY is respected, a mirror goes into jgo's config file) and run the command again, it goes on "
            "where it stopped; or give your own broker in STEPWATCH_BOOTSTRAP_SERVERS"
        ) from error


@contextmanager
def _only_one_fetches(folder: Path, progress: Progress) -> Iterator[None]:
    """Hold the folder's lock, waiting for another process that is fetching."""
    with (folder / ".lock").open("w") as lock:
        deadline = time.monotonic() + LOCK_WAIT_MAX_S
        while True:
            try:
                flock(lock, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                progress(0, 0, "another process is fetching the broker")
            if time.monotonic() > deadline:
                raise UserError(f"another process has been fetching into {folder} for 10 minutes: end it and try again")
            time.sleep(LOCK_POLL_S)
        yield


def _disk_trouble(folder: Path, error: OSError) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError(f"the disk is full: the broker's jars need 50 MB in {folder}; make room or set XDG_CACHE_HOME")
    return UserError(
        f"cannot write the broker's jars to {folder} ({error.strerror}): set XDG_CACHE_HOME to a folder you own"
    )
