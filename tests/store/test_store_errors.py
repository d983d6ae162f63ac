"""Whose fault an error is: only what is surely the rows' fault may ever lead to a dead letter."""

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from clickhouse_connect.driver.exceptions import DataError as DriverDataError

from streams.store.errors import DataError, StoreUnavailable, classify, sentence_of

PARTITIONS = "Code: 252. DB::Exception: Too many partitions for single INSERT block (more than 100). (TOO_MANY_PARTS)"
PARTS = "Code: 252. DB::Exception: Too many parts (3000) in table. Merges are processing slower than inserts."


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (DriverDataError("Failed to write column 'x'"), DataError),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"), DataError),
        (OverflowError("int too large"), DataError),
        (TypeError("a str is required"), DataError),
        (DatabaseError(PARTITIONS, code=252), DataError),
        (DatabaseError("Code: 53. DB::Exception: type mismatch", code=53), DataError),
        (DatabaseError("Code: 117. DB::Exception: incorrect data", code=117), DataError),
        (DatabaseError(PARTS, code=252), StoreUnavailable),
        (DatabaseError("Code: 241. DB::Exception: memory limit exceeded", code=241), StoreUnavailable),
        (DatabaseError("Code: 243. DB::Exception: Cannot reserve 1 MiB", code=243), StoreUnavailable),
        (DatabaseError("Code: 242. DB::Exception: Table is in readonly mode", code=242), StoreUnavailable),
        (DatabaseError("Code: 60. DB::Exception: Unknown table", code=60), StoreUnavailable),
        (DatabaseError("Code: 99999. DB::Exception: something new", code=99999), StoreUnavailable),
        (OperationalError("Error executing HTTP request"), StoreUnavailable),
        (ConnectionResetError("reset by peer"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
    ],
)
def test_an_error_is_the_rows_fault_only_when_that_is_known(error: Exception, kind: type[Exception]):
    assert type(classify(error, "INSERT INTO spans")) is kind


def test_the_sentence_is_the_servers_without_the_drivers_frame():
    frame = "Received ClickHouse exception, code: 60, server response: Code: 60. DB::Exception: "
    error = DatabaseError(
        f"{frame}Unknown table 'x'. (UNKNOWN_TABLE) (version 26.9.2.1 (official build)) (for url http://h)"
    )
    assert sentence_of(error) == "Unknown table 'x'. (UNKNOWN_TABLE)"
