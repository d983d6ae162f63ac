"""A full disk is named for what it is: at the start, while the stack runs, and when a part fails for it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.console.errors import UserError
from streams.local.disk import FULL_BELOW_BYTES, SUSPECT_BELOW_BYTES, blame_disk, check_room, until_full


def leave(free: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(free=free))


async def test_a_full_disk_is_refused_at_the_start_and_ends_a_running_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave(FULL_BELOW_BYTES, monkeypatch)
    check_room(tmp_path)
    leave(FULL_BELOW_BYTES - 1, monkeypatch)
    with pytest.raises(UserError, match="is full: make room, or choose another --data-dir"):
        check_room(tmp_path)
    with pytest.raises(UserError, match="is full"):
        await until_full(tmp_path)


def test_a_disk_that_cannot_be_asked_is_not_blamed(tmp_path: Path) -> None:
    check_room(tmp_path / "gone")
    assert str(blame_disk(tmp_path / "gone", UserError("why"))) == "why"


@pytest.mark.parametrize(("free", "blamed"), [(SUSPECT_BELOW_BYTES - 1, True), (SUSPECT_BELOW_BYTES, False)])
def test_what_fails_with_little_room_is_blamed_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, blamed: bool
) -> None:
    leave(free, monkeypatch)
    said = str(blame_disk(tmp_path, UserError("why")))
    assert said == (
        f"the disk of {tmp_path} is full: make room, or choose another --data-dir (why)" if blamed else "why"
    )
