"""A compiled copy keeps every law, and gives row for row what the sources give."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compiled.building import ROOT, script
from tests.pure import needs_sources
from tests.shared import shared

pytestmark = [pytest.mark.compiled, needs_sources]
SUITES = ("evaluators", "contract", "schemas", "core", "properties", "replay", "worker", "store", "console")
BUILT = shutil.ignore_patterns("*.so", "*.pyd", "compiled.json", "__pycache__")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout whose hot path is compiled."""
    compile_ = script()
    try:
        compile_.check_compiler()
    except compile_.NoCompiler as error:
        pytest.skip(str(error))
    root: Path = tmp_path_factory.mktemp("compiled") / "tree"
    root.mkdir()
    for name in ("schemas", "evaluators", "streams", "infra", "tests", "docs"):
        shutil.copytree(ROOT / name, root / name, ignore=BUILT)
    for name in ("pyproject.toml", "README.md", "Makefile", "CHANGELOG.md"):
        shutil.copy(ROOT / name, root / name)
    subprocess.run([sys.executable, "infra/compile.py"], cwd=root, check=True)
    return root


def run(root: Path, *module: str) -> subprocess.CompletedProcess[str]:
    """A module of this tree, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run([sys.executable, "-m", *module], cwd=root, env=environment, capture_output=True, text=True)


def test_it_keeps_the_laws(tree: Path) -> None:
    suites = [f"tests/{name}" for name in SUITES]
    told = run(tree, "pytest", "-q", "-m", "not integration", "-p", "no:cacheprovider", *suites)
    assert told.returncode == 0, told.stdout[-5000:]
    assert "the hot path is compiled" in told.stdout  # what needs the sources was left out: it was indeed


def test_its_rows_are_those_of_the_sources(tree: Path) -> None:
    data = str(shared("data/tau-airline").parents[1])
    compiled, sources = run(tree, "tests.compiled.rows", data), run(ROOT, "tests.compiled.rows", data)
    assert (compiled.stderr, sources.stderr) == ("compiled\n", "sources\n")
    assert compiled.stdout == sources.stdout
    assert int(sources.stdout.split()[0]) > 5_000
