-- What people say of alerts, and v1_alerts with it: open now, time to resolve, who has acknowledged.

-- Acknowledgements and notes, of one firing each. Nothing is ever changed or taken back: a second note says more.
CREATE TABLE IF NOT EXISTS alert_notes
(
    alert_key String,
    episode UInt64,
    at DateTime64(3, 'UTC'),
    kind Enum8('ack' = 1, 'note' = 2),
    by String,
    text String CODEC(ZSTD(1))
)
ENGINE = {engine_prefix}ReplacingMergeTree
ORDER BY (alert_key, episode, at, kind, by)
TTL toDateTime(at) + INTERVAL 400 DAY
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE OR REPLACE VIEW v1_alerts AS
SELECT
    alert_key,
    episode,
    seq,
    id,
    type,
    status,
    reason,
    tenant,
    workflow,
    step,
    evaluator,
    rule_uid,
    rule_version,
    severity,
    starts_at,
    fired_at,
    resolved_at,
    event_time,
    labels,
    n,
    fails,
    rate,
    lo,
    hi,
    payload,
    last_value(status) OVER firing != 'resolved' AND episode = max(episode) OVER (PARTITION BY alert_key) AS open,
    dateDiff('millisecond', fired_at, max(resolved_at) OVER firing) / 1000 AS time_to_resolve_s,
    JSONExtractString(payload, 'attribution', 'causes', 1, 'sentence') AS cause,
    nullIf(said.acknowledged_at, toDateTime64(0, 3, 'UTC')) AS acknowledged_at,
    said.acknowledged_by AS acknowledged_by,
    said.notes AS notes
FROM
(
    SELECT * FROM alert_events FINAL
) AS events
LEFT JOIN
(
    SELECT
        alert_key,
        episode,
        minIf(at, kind = 'ack') AS acknowledged_at,
        argMinIf(by, at, kind = 'ack') AS acknowledged_by,
        arrayMap(said -> (said.1, said.2, said.3), arraySort(groupArrayIf((at, by, text), text != ''))) AS notes
    FROM alert_notes FINAL
    GROUP BY alert_key, episode
) AS said USING (alert_key, episode)
WINDOW firing AS (PARTITION BY alert_key, episode ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING);
