"""The state file and the lock: who runs, where, and never the wrong process."""

import os

import pytest

from streams.console.errors import UserError
from streams.local.down import clear_leftovers
from streams.local.process import created_at, is_alive
from streams.local.state import (
    DataDirLock,
    PartState,
    StackState,
    effective_settings,
    is_running,
    read_state,
    write_state,
)
from streams.settings import Settings

STATE = StackState(
    owner=7,
    owner_created_at=1.5,
    ports={"kafka": 9092},
    parts={"broker": PartState(state="ready", address="127.0.0.1:9092", pid=8, created_at=2.5, since=3.5, log="b.log")},
    settings={"STEPWATCH_BOOTSTRAP_SERVERS": "127.0.0.1:20001", "STEPWATCH_GATEWAY_PORT": "20002"},
)


def test_what_is_written_is_read(tmp_path):
    write_state(tmp_path, STATE)
    assert read_state(tmp_path) == STATE


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"ports": 3}', b"\xff"])
def test_a_state_that_cannot_be_read_is_an_empty_one(tmp_path, content):
    if content is not None:
        (tmp_path / "stack.json").write_bytes(content)
    assert read_state(tmp_path) == StackState()


def test_a_data_folder_has_one_owner_and_the_second_is_told_where_the_first_is(tmp_path):
    first = DataDirLock(tmp_path)
    first.acquire()
    write_state(tmp_path, STATE)
    assert is_running(tmp_path)
    with pytest.raises(UserError, match=r"already .process 7; broker at 127.0.0.1:9092.*stepwatch down"):
        DataDirLock(tmp_path).acquire()
    first.release()
    assert not is_running(tmp_path)


def test_a_data_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot be written .Not a directory.: choose another --data-dir"):
        DataDirLock(tmp_path / "file" / "below").acquire()


def test_a_folder_that_never_was_runs_nothing(tmp_path):
    assert not is_running(tmp_path / "never")


def test_a_process_is_known_by_its_creation_time_not_by_its_pid_alone():
    created = created_at(os.getpid())
    assert created is not None
    assert is_alive(os.getpid(), created)
    assert not is_alive(os.getpid(), created - 60)


def test_a_later_process_with_a_part_s_pid_is_left_alone():
    ours_by_pid_only = PartState(state="ready", pid=os.getpid(), created_at=1.0)
    assert clear_leftovers(StackState(parts={"broker": ours_by_pid_only})) == []


def test_commands_find_a_running_stack_that_had_to_leave_the_usual_ports(tmp_path):
    asked = Settings(data_dir=tmp_path, gateway_port=5)
    write_state(tmp_path, STATE)
    assert effective_settings(asked) == asked, "nothing runs: the usual addresses"
    lock = DataDirLock(tmp_path)
    lock.acquire()
    found = effective_settings(asked)
    lock.release()
    assert (found.bootstrap_servers, found.gateway_port) == ("127.0.0.1:20001", 5), "what was given explicitly holds"
