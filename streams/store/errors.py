"""What can go wrong between us and ClickHouse, sorted by what the caller has to do about it.

    StoreError
    +-- DataError         the rows are at fault: halve the batch until the bad ones are found, dead-letter those
    +-- StoreUnavailable  anything else: keep the batch and try again, for ever

The law: an error that is not known to be the rows' fault is never a DataError, because halving a batch against a store
that is merely full or restarting would dead-letter good spans.
"""

import re

from clickhouse_connect.driver.exceptions import DataError as DriverDataError
from clickhouse_connect.driver.exceptions import Error as DriverError

# Server codes that are about values: parsing, conversion, ranges, sizes.
DATA_CODES = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        130,  # CANNOT_READ_ARRAY_FROM_TEXT
        131,  # TOO_LARGE_STRING_SIZE
        190,  # SIZES_OF_ARRAYS_DONT_MATCH
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        407,  # DECIMAL_OVERFLOW
    }
)
# 252 stands for two things: a batch that touches too many partitions (its fault), and merges that lag (not its fault).
TOO_MANY_PARTS = 252
# Raised by the driver while it turns our values into bytes, before the server has seen any.
CLIENT_FAULTS = (TypeError, ValueError, OverflowError, AttributeError, IndexError)
SENTENCE_CHARS_MAX = 300
_VERSION = re.compile(r" \(version [^()]*(\([^()]*\))?\)$")


class StoreError(Exception):
    """Base of both; the message is one sentence."""


class DataError(StoreError):
    """These rows cannot be stored, however often it is tried."""


class StoreUnavailable(StoreError):
    """The store does not take or give rows now; the same call may succeed later."""


def classify(error: Exception, doing: str) -> StoreError:
    """The store error for whatever the driver raised; `doing` begins the sentence ("INSERT INTO spans")."""
    sentence = f"{doing}: {sentence_of(error)}"
    if isinstance(error, (DriverDataError, *CLIENT_FAULTS)):
        return DataError(sentence)
    return DataError(sentence) if _is_about_values(error) else StoreUnavailable(sentence)


def _is_about_values(error: Exception) -> bool:
    code = error.code if isinstance(error, DriverError) else None
    return code in DATA_CODES or (code == TOO_MANY_PARTS and "Too many partitions" in str(error))


def sentence_of(error: Exception) -> str:
    """The server's own words without the driver's frame: its first line, cut."""
    text = str(error) or type(error).__name__
    text = text.partition("DB::Exception: ")[2] or text
    text = _VERSION.sub("", text.partition(" (for url ")[0].strip())
    return (text.splitlines() or [""])[0][:SENTENCE_CHARS_MAX]
