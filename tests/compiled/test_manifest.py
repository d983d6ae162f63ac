"""What was compiled is imported only where it is whole and no source has changed; without a compiler the sources run."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from schemas.compiled import check
from tests.compiled.building import ROOT, SCRIPT, script


def manifest(root: Path, source: str = "as it was") -> Path:
    """A tree in which one module was compiled."""
    (root / "schemas").mkdir()
    (root / "schemas/span.py").write_text("as it was")
    (root / "schemas/span.so").touch()
    digest = sha256(source.encode()).hexdigest()
    path = root / "schemas/compiled.json"
    path.write_text(json.dumps({"sources": {"schemas/span.py": digest}, "built": ["schemas/span.so"]}))
    return path


def test_nothing_compiled_is_nothing_wrong(tmp_path):
    assert check(tmp_path / "schemas/compiled.json") is False


def test_compiled_from_these_sources(tmp_path):
    assert check(manifest(tmp_path)) is True


def test_a_changed_source_is_an_error_that_says_what_to_do(tmp_path):
    with pytest.raises(
        ImportError, match=r"schemas/span\.py was changed since it was compiled.*make compile.*make pure"
    ):
        check(manifest(tmp_path, "as it was once"))


def test_so_is_a_half_of_a_compilation(tmp_path):
    path = manifest(tmp_path)
    (tmp_path / "schemas/span.so").unlink()
    with pytest.raises(ImportError, match="interrupted"):
        check(path)


def test_an_installation_without_sources_is_whole(tmp_path):
    path = manifest(tmp_path)
    (tmp_path / "schemas/span.py").unlink()
    assert check(path) is True


def test_what_is_named_is_there():
    compile_ = script()
    assert all(any(ROOT.glob(glob)) for glob in compile_.HOT)
    assert all((ROOT / name).exists() for name in compile_.NOT_HOT)
    assert "evaluators/judge.py" in compile_.sources(ROOT)
    assert "evaluators/protocols.py" not in compile_.sources(ROOT)


@pytest.mark.parametrize(("option", "code"), [((), 1), (("--if-possible",), 0)])
def test_without_a_compiler_the_sources_run(option, code):
    there = (ROOT / "schemas/compiled.json").exists()
    told = subprocess.run(
        [sys.executable, SCRIPT, *option], env={**os.environ, "CC": "no-such-compiler"}, capture_output=True, text=True
    )
    assert told.returncode == code
    assert "no C compiler (no-such-compiler): install one" in told.stderr
    assert (ROOT / "schemas/compiled.json").exists() == there
