"""Task truth into the store. Loading a task again replaces it; nothing is ever taken away."""

from collections.abc import Sequence

from clickhouse_connect.driver.client import Client

from schemas.expectation import TaskTruth, encode_expectation
from streams.store.errors import classify


def load(client: Client, truths: Sequence[TaskTruth]) -> int:
    """Upsert; the number of tasks loaded. Raises DataError or StoreUnavailable."""
    if not truths:
        return 0
    rows = [(truth.workflow, truth.task_id, encode_expectation(truth)) for truth in truths]
    try:
        client.insert("expectations", rows, column_names=["workflow", "task_id", "body"], settings={"async_insert": 0})
    except Exception as error:
        raise classify(error, "INSERT INTO expectations") from error
    return len(truths)
