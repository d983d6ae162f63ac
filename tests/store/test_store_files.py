"""The SQL that ships: every statement can be run again, every query says what it answers."""

import re

import pytest

from streams.console.errors import UserError
from streams.settings import Settings
from streams.store.client import is_loopback, options, parse_url
from streams.store.migrate import Migration, migrations, statements
from streams.store.queries import named, parse, shipped

AGAIN = re.compile(
    r"CREATE (TABLE|VIEW|MATERIALIZED VIEW) IF NOT EXISTS |CREATE OR REPLACE VIEW |ALTER TABLE \w+ \w+ \w+ IF (NOT )?EXISTS "
)
STATEMENTS = [(m.name, s) for m in migrations() for s in statements(m.text)]


@pytest.mark.parametrize(("name", "statement"), STATEMENTS)
def test_every_statement_of_a_migration_can_be_run_again(name: str, statement: str):
    assert AGAIN.match(statement), f"{name}: {statement[:60]}"


def test_migrations_are_numbered_without_gaps():
    assert [int(m.name[:4]) for m in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize(("name", "statement"), STATEMENTS)
def test_every_engine_can_be_replicated_and_every_time_is_utc(name: str, statement: str):
    assert re.findall(r"ENGINE = (?!MergeTree)\w*MergeTree", statement) == re.findall(r"ENGINE = \w+", statement)
    assert not re.search(r"DateTime64\(\d\)(?! DEFAULT)|DateTime(?=[ ,)\n])", statement), (
        f"{name}: a time without 'UTC'"
    )


def test_statements_end_at_a_semicolon_at_the_end_of_a_line_only():
    text = "-- a; comment;\nCREATE A ';x'\n  -- inside;\nB;\n\nCREATE {engine_prefix}C;\n"
    assert statements(text, "Replicated") == ["CREATE A ';x'\n\nB", "CREATE ReplicatedC"]


def test_a_checksum_covers_comments():
    assert Migration("0001_x", "-- a\nSELECT 1").checksum != Migration("0001_x", "-- b\nSELECT 1").checksum


@pytest.mark.parametrize("query", shipped(), ids=lambda query: query.name)
def test_a_shipped_query_says_what_it_answers_and_declares_what_it_takes(query):
    assert query.answers.endswith(".")
    assert {p.name for p in query.parameters} == set(re.findall(r"\{(\w+):", query.sql))
    assert all(p.meaning for p in query.parameters)


def test_parameters_have_defaults_or_must_be_given():
    query = parse("q", "-- What?\n--\n-- @a = 1   the one\n-- @b       the other\nSELECT {a:Int8}, {b:String}")
    assert query.bind({"b": "x"}) == {"a": "1", "b": "x"}
    with pytest.raises(UserError, match="query q needs its parameter 'b'"):
        query.bind({})
    with pytest.raises(UserError, match="has no parameter 'c'; it takes a, b"):
        query.bind({"c": "x"})


def test_a_misspelt_query_is_told_the_nearest_name():
    with pytest.raises(UserError, match="did you mean 'worst-steps'"):
        named("wurst-steps")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8123", "ftp://h", "http://", "http://h:x", "http://h:99999"])
def test_what_is_no_url_is_refused_in_a_sentence(url: str):
    with pytest.raises(UserError, match="is not of the form"):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:18123", {"interface": "http", "port": 18123, "compress": False, "username": "default"}),
        ("https://ch.example", {"interface": "https", "port": 8443, "compress": True, "host": "ch.example"}),
        ("http://me:p%40ss@h/proxy/", {"username": "me", "password": "p@ss", "proxy_path": "/proxy", "port": 8123}),
    ],
)
def test_a_url_carries_scheme_host_port_path_and_user(url: str, expected: dict):
    given = options(Settings(clickhouse_url=url), parse_url(url), "db")
    assert {name: given[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("host", "local"), [("localhost", True), ("127.3.2.1", True), ("::1", True), ("10.0.0.1", False)]
)
def test_loopback_is_known_by_its_address(host: str, local: bool):
    assert is_loopback(host) is local
