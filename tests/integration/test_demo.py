"""The demonstration, played faster: the expected series fire and resolve, nothing else does, and it says so."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from streams.console.errors import UserError
from streams.demo.evening import Wishes, clear, demonstrate
from streams.demo.script import Schedule
from streams.local.state import DataDirLock, is_running
from streams.settings import Settings


def wishes(data_dir: Path, picture: Path | None = None) -> Wishes:
    quick = Schedule(broken_at_s=12, repaired_at_s=32, length_s=120)
    return Wishes(data_dir, seed=3, spans_per_s=300.0, schedule=quick, keep=False, picture=picture)


async def test_the_demonstration_checks_itself_and_leaves_nothing_running(tmp_path: Path) -> None:
    said = io.StringIO()
    data_dir, picture = tmp_path / "a demo", tmp_path / "page.svg"
    patient = Settings(attribution_timeout_s=20)  # that this machine is busy says nothing of causes
    code = await demonstrate(wishes(data_dir, picture), patient, Console(file=said, width=140))
    text = said.getvalue()
    assert code == 0, text
    assert "no other series fired" in text
    assert text.count("ce_type: dev.stepwatch.alert.firing.v1") == 2
    assert text.count("ce_type: dev.stepwatch.alert.resolved.v1") == 2
    assert "reason_code = 'swallowed'" in text
    assert "fail ParameterValidation" in text
    assert '"causes": [' in text, "an event says what changed; that it says the right thing, tests/scenarios shows"
    assert "FIRING" in picture.read_text()
    assert not is_running(data_dir)


def test_a_folder_that_is_in_use_or_somebody_elses_is_never_emptied(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("do not lose")
    with pytest.raises(UserError, match="not emptied"):
        clear(theirs)
    used = tmp_path / "used"
    lock = DataDirLock(used)
    lock.acquire()
    with pytest.raises(UserError, match="already"):
        clear(used)
    lock.release()
    clear(used)
    assert (theirs / "thesis.txt").exists() and not used.exists()
