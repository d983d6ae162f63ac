"""The law of the jar cache: a file under its final name has the right sum, whatever happened before."""

import hashlib
import re
from pathlib import Path

import pytest

from streams.console.errors import UserError
from streams.local.jars import JAR_LIST, Jar, cache_dir, ensure_jars, missing, read_list

GOOD = b"the bytes of a jar"


def jar(name: str, content: bytes = GOOD) -> Jar:
    return Jar(f"org/example/{name}/1.0/{name}-1.0.jar", hashlib.sha256(content).hexdigest())


@pytest.fixture
def maven_repository(tmp_path, monkeypatch) -> Path:
    """The user's own Maven repository, which is asked before the network is."""
    monkeypatch.setenv("M2_REPO", str(tmp_path / "m2"))
    monkeypatch.setenv("JGO_CONFIG_FILE", str(tmp_path / "none.conf"))
    return tmp_path / "m2"


def put(repository: Path, wanted: Jar, content: bytes = GOOD) -> None:
    path = repository / wanted.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def quiet(done: int, total: int, text: str) -> None:
    """Progress that nobody reads."""


def test_the_list_names_every_jar_once_with_a_sum():
    jars = read_list()
    assert len({j.name for j in jars}) == len(jars) == 45
    assert all(re.fullmatch("[0-9a-f]{64}", j.sha256) for j in jars)


def test_the_coordinates_are_those_of_maven_s_layout():
    assert Jar("org/apache/kafka/kafka-clients/4.4.0/kafka-clients-4.4.0.jar", "").coordinates == (
        "org.apache.kafka",
        "kafka-clients",
        "4.4.0",
    )


def test_the_pom_has_the_same_jars_as_the_list():
    pattern = "<groupId>(.+)</groupId><artifactId>(.+)</artifactId><version>(.+)</version></dependency>"
    pom = re.findall(pattern, (JAR_LIST.parent / "pom.xml").read_text())
    assert sorted(pom) == sorted(j.coordinates for j in read_list())


def test_jars_of_the_user_s_maven_repository_are_used_without_a_download(tmp_path, maven_repository):
    put(maven_repository, jar("a"))
    assert ensure_jars(tmp_path / "cache", quiet, (jar("a"),)) == [tmp_path / "cache" / "a-1.0.jar"]


def test_a_jar_that_was_corrupted_in_the_cache_is_fetched_anew(tmp_path, maven_repository):
    put(maven_repository, jar("a"))
    cache = tmp_path / "cache"
    ensure_jars(cache, quiet, (jar("a"),))
    (cache / "a-1.0.jar").write_bytes(b"half of it")
    assert missing(cache, (jar("a"),)) == [jar("a")]
    ensure_jars(cache, quiet, (jar("a"),))
    assert (cache / "a-1.0.jar").read_bytes() == GOOD


def test_an_interrupted_fetch_is_gone_on_with(tmp_path, maven_repository):
    jars = (jar("a"), jar("b"), jar("c"))
    for one in jars:
        put(maven_repository, one)

    def interrupt(done: int, total: int, text: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    cache = tmp_path / "cache"
    with pytest.raises(KeyboardInterrupt):
        ensure_jars(cache, interrupt, jars)
    leftover = cache / ".part" / jars[2].path
    leftover.parent.mkdir(parents=True)
    leftover.write_bytes(b"half of it")
    said: list[str] = []
    ensure_jars(cache, lambda done, total, text: said.append(text), jars)
    assert said == ["c-1.0.jar"], "what is there already is kept"
    assert missing(cache, jars) == []


def test_a_download_that_fails_is_one_sentence_with_the_cure(tmp_path, maven_repository, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")  # nothing listens there
    with pytest.raises(UserError, match=r"could not download a-1.0.jar .*: check the network .* run the command again"):
        ensure_jars(tmp_path / "cache", quiet, (jar("a"),))
    assert not (tmp_path / "cache" / "a-1.0.jar").exists()


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path, maven_repository):
    put(maven_repository, jar("a"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the broker's jars .* set XDG_CACHE_HOME"):
        ensure_jars(tmp_path / "file" / "below", quiet, (jar("a"),))


def test_the_cache_is_the_user_s_and_without_a_home_the_data_folder_s(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir(tmp_path / "data") == tmp_path / "xdg" / "stepwatch" / "kafka-4.4.0"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_dir(tmp_path / "data") == tmp_path / "data" / "kafka" / "lib"
