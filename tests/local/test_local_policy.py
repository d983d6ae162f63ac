"""When a dead part is started again, what a log says of an end, which Java will do, what a child is told."""

from pathlib import Path

import pytest

from streams.console.errors import UserError
from streams.local.broker import cluster_id, live_brokers
from streams.local.java import Java, find_java, parse_version
from streams.local.parts import variables
from streams.local.process import last_words
from streams.local.supervise import RestartPolicy
from streams.settings import Settings


@pytest.mark.parametrize(
    ("case", "deaths", "now", "pause"),
    [
        ("the first death: soon", [100.0], 100.0, 0.5),
        ("each further one: twice as long", [100.0, 101.0, 103.0], 103.0, 2.0),
        ("but never longer than the greatest pause", [100.0, 101.0, 102.0, 103.0, 104.0], 104.0, 8.0),
        ("the sixth within a minute: give up", [100.0, 101.0, 102.0, 103.0, 104.0, 160.0], 160.0, None),
        ("deaths of long ago are forgiven", [100.0, 101.0, 102.0, 103.0, 104.0, 165.0], 165.0, 0.5),
    ],
)
def test_a_dead_part_is_started_again_after_a_growing_pause(case, deaths, now, pause):
    assert RestartPolicy().pause(deaths, now) == pause, case


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("started\nlistening\n", "listening"),
        ("x ERROR no space left\n\tat kafka.Foo(Foo.scala:1)\n\tat b\n", "x ERROR no space left"),
        ("Traceback:\n  File 'a'\nValueError: bad\nbye\n", "ValueError: bad"),
        ("it failed: error: disk\nWARNING: use of Unsafe\n", "it failed: error: disk"),
    ],
)
def test_the_last_words_of_a_log_are_its_last_line_that_names_trouble(tmp_path: Path, log: str, words: str):
    (tmp_path / "a.log").write_text(log)
    assert last_words(tmp_path / "a.log") == words


def test_the_last_words_are_those_of_this_start_not_of_an_earlier_one(tmp_path: Path):
    (tmp_path / "a.log").write_text("ERROR of yesterday\nfine\n")
    assert last_words(tmp_path / "a.log", since_byte=len("ERROR of yesterday\n")) == "fine"


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ('openjdk version "25.0.2" 2026-01-20', 25),
        ('openjdk version "17" 2021-09-14', 17),
        ('java version "1.8.0_402"', 8),
        ("command not found", None),
    ],
)
def test_the_feature_version_is_read_from_java_s_banner(banner, version):
    assert parse_version(banner) == version


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ('java version "1.8.0_402"', "is Java 8, but Kafka needs 17 or newer"),
        ("hello", "does not answer `-version` as Java does"),
    ],
)
def test_a_java_that_will_not_do_is_refused_with_a_sentence(tmp_path: Path, answer: str, complaint: str):
    fake = tmp_path / "java"
    fake.write_text(f"#!/bin/sh\necho '{answer}' >&2\n")
    fake.chmod(0o755)
    with pytest.raises(UserError, match=complaint):
        find_java(fake)


def test_a_java_that_is_not_there_is_refused_with_a_sentence(tmp_path: Path):
    with pytest.raises(UserError, match="cannot be run as Java"):
        find_java(tmp_path / "nowhere")


def test_without_a_wish_the_bundled_java_is_taken(monkeypatch):
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    found = find_java()
    assert (found.version >= 25, found.path.parts[-2:]) == (True, ("bin", "java"))


@pytest.mark.parametrize(("version", "has"), [(17, False), (24, False), (25, True)])
def test_only_a_new_java_is_asked_for_a_start_cache(version, has):
    assert Java(Path("java"), version).has_aot_cache == has


def test_a_cluster_id_is_one_kafka_accepts():
    names = {cluster_id() for _ in range(200)}
    assert len(names) == 200
    assert all(len(name) == 22 and not name.startswith("-") for name in names)


@pytest.mark.parametrize(
    ("answer", "live"),
    [(b"", 0), (b"\0\0\0\7", 0), (b"\0\0\0\7\0\0\0\0", 0), (b"\0\0\0\7\0\0\0\1rest", 1)],
)
def test_a_broker_is_ready_when_a_metadata_answer_names_a_live_one(answer, live):
    assert live_brokers(answer) == live


def test_a_child_is_told_every_setting_that_was_made_and_no_other():
    settings = Settings(_env_file=None, clickhouse_password="s3cret", scorer_group="g")  # type: ignore[arg-type]
    assert variables(settings) == {"STEPWATCH_CLICKHOUSE_PASSWORD": "s3cret", "STEPWATCH_SCORER_GROUP": "g"}
    assert variables(settings, secrets=False) == {"STEPWATCH_SCORER_GROUP": "g"}
