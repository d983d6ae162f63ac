"""Reading what people write: every slip has a line and a cure, and nothing written can cost more than the bounds."""

import pytest
from pydantic import Field

from schemas.config import ConfigError, Declared, read_yaml, unknown, validate


class Item(Declared):
    name: str
    count: int = 1


class Listing(Declared):
    items: list[Item]
    by: dict[str, Item] = Field(default_factory=dict)
    best: Item | None = None


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        validate(Listing, *_source(text))
    return str(caught.value).splitlines()


def _source(text: str):
    data, line_of = read_yaml(text, "f.yaml")
    return data, "f.yaml", line_of


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("items:\n - name: x\n   cuont: 2\n", "f.yaml:3: unknown key 'cuont'; did you mean 'count'?"),
        ("items:\n - count: 2\n", "f.yaml:2: key 'name' is missing in items[0]"),
        ("items:\n - name: x\n   count: true\n", "f.yaml:3: items[0].count: input should be a valid integer, not True"),
        ("items: []\nby:\n  k:\n    Name: x\n    name: y\n", "f.yaml:4: unknown key 'Name'; did you mean 'name'?"),
        ("items: []\nbest: {naem: x}\n", "f.yaml:2: unknown key 'naem'; did you mean 'name'?"),
        ("items: 3\n", "f.yaml:1: items: input should be a valid list, not 3"),
        ("[]\n", "f.yaml:1: the document: a mapping is needed, not []"),
    ],
)
def test_a_slip_is_told_with_its_line_and_its_cure(text, line):
    assert line in problems(text)


def test_all_problems_are_told_at_once_in_the_order_of_lines():
    told = problems("items:\n - nam: x\n - name: 3\nby: 2\n")
    assert [p.split(":")[1] for p in told] == ["2", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("items: [\n", "not valid YAML"),
        ("items: []\nitems: []\n", "f.yaml:2: key 'items' is given twice (first in line 1); keep one"),
        ('{"items": [],\n "items": []}', "f.yaml:2: key 'items' is given twice (first in line 1); keep one"),
        ("---\na: 1\n---\nb: 1\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]\n", "not valid YAML"),
        ("[" * 5_000, "nested deeper than 60 levels"),
        ("a: &a [*a]\n", "once its aliases are expanded"),
        (
            "a: &a [0,0,0,0,0,0,0,0,0]\n"
            + "".join(f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True)),
            "once its aliases are expanded",
        ),
        ("a: " + "x" * (1 << 20), "larger than 1048576 bytes"),
        ("a: \x07", "not valid YAML"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(text, said):
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "f.yaml")
    assert said in str(caught.value)
    assert all(str(p).startswith("f.yaml:") for p in caught.value.problems)


def test_json_is_accepted_with_tabs_and_escaped_surrogates():
    data, line_of = read_yaml('{"items":\n\t[{"name":\t"\\ud83d\\ude00"}]}', "f.json")
    assert (data, line_of(("items", 0))) == ({"items": [{"name": "😀"}]}, 2)


def test_dates_stay_the_text_they_are_in_json():
    assert read_yaml("on_day: 2024-05-01", "f.yaml")[0] == {"on_day": "2024-05-01"}


def test_the_line_of_a_path_that_is_not_there_is_its_nearest_ancestors():
    _, line_of = read_yaml("a:\n  b:\n    c: 1\n", "f.yaml")
    assert [line_of(p) for p in [("a", "b", "c"), ("a", "b", "x", 3), ("z",), ()]] == [3, 2, 1, 1]


def test_an_empty_text_is_none():
    assert read_yaml("# nothing\n", "f.yaml")[0] is None


def test_merge_keys_and_aliases_work():
    assert read_yaml("base: &b {x: 1}\nuse: {<<: *b, y: 2}\n", "f.yaml")[0]["use"] == {"x": 1, "y": 2}


def test_an_unknown_word_lists_the_known_ones_when_none_is_near():
    assert unknown("key 'zzz'", "zzz", ["beta", "alpha"]) == "unknown key 'zzz'; known: alpha, beta"
