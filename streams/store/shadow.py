"""Shadow namespaces: databases beside the live one that a replay writes to, and what their rows say against the live ones.

The law: nothing here writes to the live database, and only a database that a replay made is ever dropped.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import Error as DriverError

from streams.console.errors import UserError
from streams.settings import Settings
from streams.store.client import connect, quote
from streams.store.errors import sentence_of
from streams.store.keys import instant
from streams.store.migrate import migrate

NAMESPACE = re.compile(r"[a-z0-9_]{1,40}")
MARK = "made by stepwatch replay"  # the comment of shadow databases and of no others, there from the moment they are
FINISHED = "replay_finished"  # a table that a namespace has once all of its piece was read
FOUND = """
SELECT database, countIf(name = {finished:String}) AS is_finished, sum(total_bytes) AS size
FROM (SELECT name AS database FROM system.databases WHERE comment = {mark:String} AND startsWith(name, {of:String})) AS d
LEFT JOIN system.tables AS t USING (database)
GROUP BY database ORDER BY database
"""
TRUTHS = "INSERT INTO expectations SELECT * FROM {live}.expectations"
# All that a final row says but for when it was judged, and under which number of config.
SAID = """cityHash64(workflow, agent, task_id, session_id, release, n_spans, n_steps, n_tool_calls, input_tokens, output_tokens,
    start_time, end_time, close_reason, flags, weight, arraySort(arrayMap(
    (span, step, agent, evaluator, version, verdict, score, basis, code, reason, evidence) -> cityHash64(span, step, agent,
        evaluator, version, toString(verdict), ifNull(toString(score), ''), basis, code, reason, evidence),
    results.span_id, results.step, results.agent, results.evaluator, results.evaluator_version, results.verdict,
    results.score, results.basis, results.reason_code, results.reason, results.evidence)))"""
VERDICTS = """arraySort(arrayMap((span, evaluator, verdict) -> cityHash64(span, evaluator, toString(verdict)),
    results.span_id, results.evaluator, results.verdict))"""
ROWS = """
SELECT tenant, trace_id, partition, anchor, state, n_items, {said} AS said, {verdicts} AS verdicts, 1 AS is_there
FROM {database}.trajectories FINAL WHERE {within}
"""
# A run that began before the replay did is there in part only, and one that has grown since was judged on more.
COMPARED = """
SELECT tenant, trace_id, multiIf(
    NOT old.is_there, 'only in the replay',
    NOT new.is_there, 'missing',
    old.anchor < new.anchor, 'began before',
    old.n_items != new.n_items, 'other spans',
    old.state != new.state, 'not decided in both',
    old.said = new.said, 'equal',
    old.verdicts = new.verdicts, 'same verdicts',
    'changed') AS kind
FROM ({new}) AS new FULL OUTER JOIN ({old}) AS old USING (tenant, trace_id)
WHERE new.is_there OR ({inside})
"""
KINDS = "SELECT kind, count() FROM ({compared}) GROUP BY kind"
CHANGES = """
SELECT workflow, evaluator, before, after, count() FROM
(
    SELECT any(workflow) AS workflow, evaluator, anyIf(said, is_old) AS before, anyIf(said, NOT is_old) AS after
    FROM ({both}) WHERE (tenant, trace_id) IN (SELECT tenant, trace_id FROM ({compared}) WHERE kind = 'changed')
    GROUP BY tenant, trace_id, span_id, evaluator HAVING before != after
)
GROUP BY workflow, evaluator, before, after
"""
RESULTS = """
SELECT tenant, trace_id, workflow, results.span_id AS span_id, results.evaluator AS evaluator,
    toString(results.verdict) AS said, {is_old} AS is_old
FROM {database}.trajectories FINAL
ARRAY JOIN results.span_id, results.evaluator, results.verdict WHERE {within}
"""
BACK_MS = 7 * 86_400_000  # a run that is still open began at most so long ago: the abandon time restarts with each span


class Comparison(NamedTuple):
    """A replay's rows against the live ones."""

    kinds: Counter[str]
    changes: Counter[tuple[str, str, str, str]]  # workflow, evaluator, live verdict, replayed verdict


class Namespace(NamedTuple):
    """A shadow database that is there."""

    name: str  # as --namespace has it
    is_finished: bool
    size: int  # bytes on disk


def shadow_of(settings: Settings, namespace: str) -> Settings:
    """The settings of a namespace: a database beside the live one. Raises UserError for a name that cannot be one."""
    if not NAMESPACE.fullmatch(namespace):
        raise UserError("--namespace: up to 40 lower-case letters, digits and underscores")
    return settings.model_copy(update={"clickhouse_database": f"{settings.clickhouse_database}_{namespace}"})


def make(settings: Settings, shadow: Settings) -> None:
    """Create and migrate the namespace, with the task truth of the live one. Raises UserError when it is there already."""
    live = connect(settings)
    try:
        if _exists(live, shadow):
            raise UserError(
                f"{shadow.clickhouse_database} is there already: drop it with --drop, or take another --namespace"
            )
        live.command(f"CREATE DATABASE {quote(shadow.clickhouse_database)} COMMENT '{MARK}'")
        client = connect(shadow)
        migrate(shadow)
        client.command(TRUTHS.format(live=quote(settings.clickhouse_database)))
        client.close()
    except DriverError as error:
        raise UserError(f"the namespace cannot be made: {sentence_of(error)}") from error
    finally:
        live.close()


def finish(shadow: Settings) -> None:
    """Note that all of the piece was read and judged. Raises UserError."""
    client = connect(shadow)
    try:
        client.command(f"CREATE TABLE IF NOT EXISTS {FINISHED} (at DateTime('UTC')) ENGINE = MergeTree ORDER BY at")
    except DriverError as error:
        raise UserError(f"the namespace cannot be written: {sentence_of(error)}") from error
    finally:
        client.close()


def namespaces(settings: Settings) -> list[Namespace]:
    """The shadow databases beside the live one, by name. Raises UserError."""
    live, of = connect(settings), f"{settings.clickhouse_database}_"
    try:
        found = live.query(FOUND, parameters={"of": of, "mark": MARK, "finished": FINISHED}).result_rows
    except DriverError as error:
        raise UserError(f"the namespaces cannot be read: {sentence_of(error)}") from error
    finally:
        live.close()
    return [Namespace(name.removeprefix(of), bool(finished), int(size or 0)) for name, finished, size in found]


def drop(settings: Settings, shadow: Settings) -> None:
    """Drop the namespace. Raises UserError where there is none, or what has its name was not made by a replay."""
    live = connect(settings)
    try:
        name = shadow.clickhouse_database
        if not _exists(live, shadow):
            raise UserError(f"there is no {name}")
        asked = "SELECT comment FROM system.databases WHERE name = {name:String}"
        if live.query(asked, parameters={"name": name}).result_rows != [(MARK,)]:
            raise UserError(f"{name} was not made by a replay: it stays")
        live.command(f"DROP DATABASE {quote(name)} SYNC")
    except DriverError as error:
        raise UserError(f"the namespace cannot be dropped: {sentence_of(error)}") from error
    finally:
        live.close()


def compare(settings: Settings, shadow: Settings, read: Mapping[int, tuple[int, int]]) -> Comparison:
    """The rows of both. `read` is what was read of each partition: append times of its first and last record, ms.

    A live run of which the replay has nothing is missing where it began after the first record and before the last one.
    """
    if not read:
        return Comparison(Counter(), Counter())
    first_ms, last_ms = min(first for first, _ in read.values()), max(last for _, last in read.values())
    within = f"anchor >= {instant(max(0, first_ms - BACK_MS))} AND anchor <= {instant(last_ms)}"
    old, new = quote(settings.clickhouse_database), quote(shadow.clickhouse_database)
    inside = " OR ".join(
        f"(old.partition = {partition} AND old.anchor > {instant(first)} AND old.anchor < {instant(last)})"
        for partition, (first, last) in read.items()
    )
    rows = {side: ROWS.format(said=SAID, verdicts=VERDICTS, database=side, within=within) for side in (old, new)}
    compared = COMPARED.format(new=rows[new], old=rows[old], inside=inside)
    both = " UNION ALL ".join(
        RESULTS.format(database=side, within=within, is_old=int(side == old)) for side in (old, new)
    )
    client = connect(settings)
    try:
        kinds = client.query(KINDS.format(compared=compared)).result_rows
        changes = client.query(CHANGES.format(both=both, compared=compared)).result_rows
    except DriverError as error:
        raise UserError(f"the rows cannot be compared: {sentence_of(error)}") from error
    finally:
        client.close()
    changed = {(workflow, evaluator, before, after): n for workflow, evaluator, before, after, n in changes}
    return Comparison(Counter({str(kind): int(n) for kind, n in kinds}), Counter(changed))


def _exists(client: Client, shadow: Settings) -> Any:
    return client.command(f"EXISTS DATABASE {quote(shadow.clickhouse_database)}")
