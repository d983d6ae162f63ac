-- What each gateway was sent and what it made of it: the sender's side of the ledger of losses.
--
-- A gateway says a word every few seconds (`seq`), of what came since the word before; each has a row `alive`, the last one of a
-- clean stop is marked. A word that is written again has the same keys and the same content.
CREATE TABLE IF NOT EXISTS gateway_ledger
(
    topic LowCardinality(String),
    gateway String, -- one process, from its start to its end
    seq UInt64,
    started_ms UInt64,
    told_ms UInt64,
    is_last UInt8,
    tenant LowCardinality(String),
    signal LowCardinality(String), -- traces, logs
    outcome LowCardinality(String), -- alive, in_log, refused, ignored
    reason LowCardinality(String), -- of what was refused
    partition UInt32, -- of what is in the log, with the offsets of its records
    first_offset UInt64,
    last_offset UInt64,
    n UInt64, -- spans or log records
    written_at DateTime('UTC') DEFAULT now()
)
ENGINE = {engine_prefix}ReplacingMergeTree
PARTITION BY toDate(toDateTime(intDiv(told_ms, 1000), 'UTC'))
ORDER BY (topic, gateway, seq, outcome, tenant, signal, reason, partition)
TTL toDateTime(intDiv(told_ms, 1000), 'UTC') + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;
