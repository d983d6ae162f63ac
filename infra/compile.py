"""The hot path as C: `make compile` builds it in place, a wheel carries it. The same sources, by mypyc; nothing depends on it.

What is compiled is pure and fully typed: decode, assembly, evaluators, rows. Where a compiled module lies beside its source,
Python imports it; `schemas.compiled` refuses one that is older than its source. Without a C compiler the sources run as they
are, about a third as fast.

Hatchling calls `CompileHook` where `HATCH_BUILD_HOOK_ENABLE_CUSTOM=1` is set (infra/Dockerfile).
"""

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path("schemas/compiled.json")
GROUP = "stepwatch"  # the C code is one library, `stepwatch__mypyc`; every module is a door to it
# Protocols that are asked for at run time, and what is made by pydantic, stay Python.
HOT = (
    "evaluators/*.py",
    "evaluators/folding/*.py",
    "evaluators/views/*.py",
    "schemas/cut.py",
    "schemas/decode.py",
    "schemas/dialects/*.py",
    "schemas/duration.py",
    "schemas/errortext.py",
    "schemas/failure.py",
    "schemas/item.py",
    "schemas/naming.py",
    "schemas/otlp.py",
    "schemas/outcome.py",
    "schemas/payload.py",
    "schemas/pyrepr.py",
    "schemas/result.py",
    "schemas/rows.py",
    "schemas/span.py",
    "schemas/toolcall.py",
    "schemas/topic_record.py",
    "schemas/trajectory.py",
    "streams/core/assemble.py",
    "streams/core/dedup.py",
    "streams/core/engine.py",
    "streams/core/exchange.py",
    "streams/core/flush.py",
    "streams/core/judging.py",
    "streams/core/trace.py",
    "streams/core/window.py",
    "streams/core/workflow_name.py",
    "streams/store/columns.py",
)
NOT_HOT = frozenset({"evaluators/__init__.py", "evaluators/folding/__init__.py", "evaluators/views/__init__.py"})
NOT_HOT |= {"evaluators/protocols.py"}


class NoCompiler(Exception):
    """This machine cannot compile C for this Python."""


def sources(root: Path) -> list[str]:
    """What is compiled, relative to the root."""
    found = (path.relative_to(root).as_posix() for glob in HOT for path in root.glob(glob))
    return sorted(set(found) - NOT_HOT)


def build(root: Path, into: Path) -> list[str]:
    """Compile the tree at `root`; the built files, relative to `into`, the manifest among them. Raises NoCompiler."""
    check_compiler()
    from mypyc.build import mypycify
    from setuptools import Distribution

    names = sources(root)
    with contextlib.chdir(root), tempfile.TemporaryDirectory() as folder:
        temporary = str(Path(folder) / "objects")
        extensions = mypycify(
            names, opt_level="2", debug_level="0", multi_file=True, target_dir=folder, group_name=GROUP
        )
        command = Distribution({"name": GROUP, "ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(into), temporary
        command.ensure_finalized()
        command.run()
    built = sorted(
        path.relative_to(into).as_posix() for path in into.rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}")
    )
    digests = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names}
    manifest = into / MANIFEST
    manifest.parent.mkdir(exist_ok=True)
    manifest.write_text(json.dumps({"sources": digests, "built": built}, indent=1) + "\n")
    return [*built, MANIFEST.as_posix()]


def check_compiler() -> None:
    """Raise NoCompiler where there is no C compiler, or no header of Python."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    compiler = os.environ.get("CC", compiler).split()[0]
    if shutil.which(compiler) is None:
        raise NoCompiler(
            f"there is no C compiler ({compiler}): install one (Debian: apt-get install gcc), or name it in CC"
        )
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    if not header.exists():
        raise NoCompiler("there are no headers of Python (Debian: apt-get install python3-dev)")


def remove(root: Path) -> None:
    """Take away what was built in place, the manifest first: without it nothing counts as compiled."""
    (root / MANIFEST).unlink(missing_ok=True)
    for path in _built(root):
        path.unlink()


def _built(root: Path) -> Iterator[Path]:
    yield from root.glob(f"{GROUP}__mypyc.*")
    for package in ("schemas", "evaluators", "streams"):
        yield from (root / package).rglob(f"*{sysconfig.get_config_var('EXT_SUFFIX')}")


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled modules into a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, unless what is built is only a pointer to the sources."""
        if version == "editable":
            return
        self._folder = tempfile.TemporaryDirectory()
        into = Path(self._folder.name)
        for name in build(Path(self.root), into):
            build_data["force_include"][str(into / name)] = name
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Take the files away that the wheel now holds."""
        if version != "editable":
            self._folder.cleanup()


def main() -> int:
    """`make compile` and `make pure`."""
    parser = argparse.ArgumentParser(prog="make compile", description="Compile the hot path in place, or take it away.")
    parser.add_argument("--pure", action="store_true", help="take the compiled modules away: the sources run again")
    parser.add_argument("--stale", action="store_true", help="take them away only where a source is newer")
    parser.add_argument("--if-possible", action="store_true", help="without a C compiler say so and go on")
    options = parser.parse_args()
    if options.stale and not _is_stale():
        return 0
    if options.pure or options.stale:
        remove(ROOT)
        return 0
    print("Compiling decode, assembly and evaluators (one to two minutes)", flush=True)
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        try:
            with _quiet():
                built = build(ROOT, Path(folder))
        except NoCompiler as error:
            print(f"Not compiled: {error}. The sources run as they are, slower.", file=sys.stderr)
            return 0 if options.if_possible else 1
        remove(ROOT)
        for name in built:  # the manifest comes last: until then nothing counts as compiled
            (Path(folder) / name).replace(ROOT / name)
    print(f"Compiled {len(built) - 2} modules; `make pure` takes them away again.")
    return 0


def _is_stale() -> bool:
    """Whether the modules cannot be imported as they are. Asked of a process of its own, as anybody would find out."""
    return subprocess.run([sys.executable, "-c", "import schemas"], cwd=ROOT, stderr=subprocess.DEVNULL).returncode != 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The compiler's commands are nobody's business; its errors are."""
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nothing:
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)


if __name__ == "__main__":
    sys.exit(main())
