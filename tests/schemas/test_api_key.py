import pytest

from schemas.api_key import BadKeyFile, KeyFile, KeyRecord, Keys, hashed, read_keys, spell, write_keys

KEY, OTHER = spell("0a1b2c3d", "s_e-cret"), spell("ffffffff", "other")
RECORD = KeyRecord("0a1b2c3d", hashed(KEY), "acme", "2026-01-01T00:00:00Z")
KEYS = Keys([RECORD, KeyRecord("ffffffff", hashed(OTHER), "gone", "", "2026-01-02T00:00:00Z")])


@pytest.mark.parametrize("shown", [f"Bearer {KEY}", f"bearer {KEY}", f"  Bearer   {KEY} "])
def test_a_live_key_is_of_its_tenant(shown: str) -> None:
    assert KEYS.tenant_of(shown) == "acme"


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "Bearer",
        f"Basic {KEY}",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        f"Bearer {spell('00000000', 's_e-cret')}",
        f"Bearer {OTHER}",
        "Bearer swk__",
        "Bearer xyz_0a1b2c3d_s_e-cret",
        "Bearer swk_0a1b2c3d_\udcff",
    ],
)
def test_nothing_else_is(shown: str | None) -> None:
    assert KEYS.tenant_of(shown) is None


def test_a_file_comes_back_as_it_was_and_holds_no_secret() -> None:
    text = write_keys(KeyFile([RECORD]))
    assert read_keys(text, "keys.json") == KeyFile([RECORD])
    assert b"s_e-cret" not in text


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b'{"keys": 3}',
        b'{"keys": [{"id": "x"}]}',
        write_keys(KeyFile([RECORD._replace(sha256="short")])),
    ],
)
def test_what_is_no_key_file_is_refused(text: bytes) -> None:
    with pytest.raises(BadKeyFile, match=r"keys\.json is no key file"):
        read_keys(text, "keys.json")


def test_an_id_stands_once() -> None:
    with pytest.raises(BadKeyFile, match="has key 0a1b2c3d twice"):
        read_keys(write_keys(KeyFile([RECORD, RECORD])), "keys.json")
