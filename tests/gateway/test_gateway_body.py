"""Bodies stay within their bounds, however small a bomb was packed."""

import gzip
import os
import zlib
from collections.abc import Iterable

import pytest
import zstandard

from streams.gateway.answers import Refused
from streams.gateway.body import STEP_BYTES, Gunzip, Unzstd
from streams.gateway.budget import Budget, OverBudget
from streams.gateway.limits import COMPRESSED_BYTES_MAX, MIB, RATIO_FREE_BYTES, RATIO_MAX


def unpack(chunks: Iterable[bytes]) -> list[bytes]:
    stream = Gunzip()
    parts = [part for chunk in chunks for part in stream.feed(chunk)]
    stream.end()
    return parts


def in_chunks(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("chunk", [1, 7, 65_536])
def test_a_gzip_body_is_unpacked_whatever_the_chunks_of_the_network(chunk: int) -> None:
    body = os.urandom(3_000) * 3
    assert b"".join(unpack(in_chunks(gzip.compress(body), chunk))) == body


def test_an_honest_export_that_packs_well_is_unpacked() -> None:
    body = b"".join(os.urandom(50) + bytes(950) for _ in range(5_000))  # 5 MB, packed to a fifteenth
    assert b"".join(unpack([gzip.compress(body)])) == body


def test_a_bomb_is_stopped_at_its_ratio_and_never_unpacked_whole() -> None:
    bomb = gzip.compress(bytes(200 * MIB))
    stream, unpacked = Gunzip(), 0
    parts = (part for chunk in in_chunks(bomb, 1_000) for part in stream.feed(chunk))
    with pytest.raises(Refused, match=f"more than {RATIO_MAX} times") as caught:  # noqa: PT012 - counted as it comes
        for part in parts:
            unpacked += len(part)
    assert caught.value.status == 413
    assert unpacked <= RATIO_FREE_BYTES + STEP_BYTES


def test_a_gzip_body_over_its_bound_is_refused_before_it_is_unpacked() -> None:
    with pytest.raises(Refused, match="gzip body over") as caught:
        unpack([gzip.compress(os.urandom(COMPRESSED_BYTES_MAX + 1), 1)])
    assert caught.value.status == 413


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"plain text", "the body is not gzip"),
        (gzip.compress(b"abc")[:-3], "ends early"),
        (b"", "ends early"),
        (gzip.compress(b"abc") + b"more", "bytes follow"),
        (gzip.compress(b"") * 1_000, "bytes follow"),
        (zlib.compress(b"abc"), "the body is not gzip"),
        (gzip.compress(b"abc")[:-8] + bytes(8), "the body is not gzip"),  # a wrong checksum
    ],
)
def test_what_is_not_one_whole_gzip_body_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as caught:
        unpack([body])
    assert caught.value.status == 400


def test_a_budget_takes_up_to_its_ceiling_and_nothing_of_what_would_pass_it() -> None:
    budget = Budget(ceiling=10)
    budget.take(10)
    with pytest.raises(OverBudget, match="holds 10 bytes"):
        budget.take(1)
    budget.give_back(4)
    budget.take(4)
    assert budget.held == 10


def unzstd(chunks: Iterable[bytes]) -> bytes:
    stream = Unzstd()
    parts = [part for chunk in chunks for part in stream.feed(chunk)]
    stream.end()
    return b"".join(parts)


@pytest.mark.parametrize("chunk", [1, 7, 65_536])
def test_a_zstd_body_is_unpacked_whatever_the_chunks_of_the_network(chunk: int) -> None:
    body = os.urandom(3_000) * 3
    assert unzstd(in_chunks(zstandard.compress(body), chunk)) == body


def test_a_zstd_bomb_is_stopped_at_its_ratio_and_never_unpacked_whole() -> None:
    bomb = zstandard.compress(bytes(400 * MIB), 19)
    stream, unpacked = Unzstd(), 0
    with pytest.raises(Refused, match=f"more than {RATIO_MAX} times") as caught:  # noqa: PT012 - counted as it comes
        for chunk in in_chunks(bomb, 1_000):
            for part in stream.feed(chunk):
                unpacked += len(part)
    assert caught.value.status == 413
    assert unpacked <= 16 * MIB


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"plain text", "the body is not zstd"),
        (gzip.compress(b"abc"), "the body is not zstd"),
        (zstandard.compress(b"abc" * 900)[:-3], "ends early"),
        (b"", "ends early"),
        (zstandard.compress(b"abc") + b"more", "bytes follow"),
        (zstandard.compress(b"abc") * 900, "bytes follow"),
        (b"\x28\xb5\x2f\xfd\x00\xf8", "not zstd|ends early"),  # asks for a window of gigabytes
    ],
)
def test_what_is_not_one_whole_zstd_body_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence) as caught:
        unzstd([body])
    assert caught.value.status == 400
