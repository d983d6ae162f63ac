"""The outcomes of decided traces as they were published, read back for replays of rules: in order of decision, streamed.

Read from the rows of trajectories, where a decision's outcomes stay. Raises UserError or StoreUnavailable like any read.
"""

from collections.abc import Iterator

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from schemas.outcome import decode_trace
from streams.core.replay_rules import Stored
from streams.store.errors import StoreUnavailable, sentence_of

NOW = "SELECT toUnixTimestamp64Milli(now64(3))"
# A trace is decided within its abandon time, so the day before is read too, and what was decided before is left out.
DECIDED = """
SELECT toUnixTimestamp64Milli(deadline) AS at_ms, tenant, workflow, outcomes
FROM trajectories FINAL
WHERE anchor >= fromUnixTimestamp64Milli({since_ms:Int64}) - INTERVAL 1 DAY AND state = 'decided' AND outcomes != ''
    AND at_ms >= {since_ms:Int64} AND at_ms < {until_ms:Int64}
ORDER BY at_ms, tenant, trace_id
"""


def now_ms(client: Client) -> int:
    """The store's clock."""
    try:
        return int(client.query(NOW).result_rows[0][0])
    except DriverError as error:
        raise StoreUnavailable(sentence_of(error)) from error


def decided(client: Client, since_ms: int, until_ms: int) -> Iterator[Stored]:
    """Traces that were decided in [since, until), oldest first."""
    parameters = {"since_ms": since_ms, "until_ms": until_ms}
    try:
        with client.query_rows_stream(
            DECIDED,
            parameters=parameters,
            query_formats={"String": "bytes"},
            settings={"select_sequential_consistency": 1},
        ) as rows:
            for at_ms, tenant, workflow, outcomes in rows:
                yield Stored(at_ms, _text(tenant), _text(workflow), decode_trace(outcomes))
    except DriverError as error:
        raise StoreUnavailable(sentence_of(error)) from error


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
