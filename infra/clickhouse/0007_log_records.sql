-- Log records that hold content of a span (messages, arguments, results, exceptions), and their own sum in the ledger.
--
-- They are items of their trace as spans are: read back with them, counted in n_items, found through trace_ix.

-- One row per distinct (span id, content) of a trace. The row received first wins, so a redelivery changes nothing.
CREATE TABLE IF NOT EXISTS log_records
(
    tenant LowCardinality(String),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(NONE),
    content_hash UInt64 CODEC(NONE),
    name LowCardinality(String),
    service LowCardinality(String),
    time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    arguments Nullable(String) CODEC(ZSTD(1)),
    result Nullable(String) CODEC(ZSTD(1)),
    raw String CODEC(ZSTD(1)),
    resource String CODEC(ZSTD(1)),
    scope String CODEC(ZSTD(1)),
    earliest_wins UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Milli(received_at))) CODEC(Delta, ZSTD(1))
)
ENGINE = {engine_prefix}ReplacingMergeTree(earliest_wins)
PARTITION BY toDate(received_at)
ORDER BY (tenant, trace_id, span_id, content_hash)
TTL toDateTime(received_at) + INTERVAL 30 DAY
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS trace_ix_from_log_records TO trace_ix AS
SELECT tenant, trace_id, min(received_at) AS first_received, max(received_at) AS last_received
FROM log_records
GROUP BY tenant, trace_id;

CREATE VIEW IF NOT EXISTS v1_log_records AS
SELECT
    tenant,
    lower(hex(trace_id)) AS trace_id,
    lower(hex(span_id)) AS span_id,
    name,
    service,
    received_at,
    time,
    arguments,
    result,
    flags,
    content_hash,
    log_records.trace_id AS trace_key
FROM log_records FINAL;

ALTER TABLE ledger ADD COLUMN IF NOT EXISTS log_records UInt64 CODEC(T64, ZSTD(1)) AFTER dead_lettered;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS logs_stored UInt64 CODEC(T64, ZSTD(1)) AFTER log_records;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS logs_duplicate UInt64 CODEC(T64, ZSTD(1)) AFTER logs_stored;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS logs_ignored UInt64 CODEC(T64, ZSTD(1)) AFTER logs_duplicate;
ALTER TABLE ledger ADD COLUMN IF NOT EXISTS logs_dead_lettered UInt64 CODEC(T64, ZSTD(1)) AFTER logs_ignored;

-- The sums that have to close: each span of the log is stored, a duplicate, sampled out or dead-lettered; each log record
-- is stored, a duplicate, ignored because it holds no content of a span, or dead-lettered.
CREATE OR REPLACE VIEW v1_ledger AS
SELECT
    topic,
    partition,
    tenant,
    min(live.first_offset) AS first_offset,
    max(live.last_offset) AS last_offset,
    sum(live.records) AS records,
    sum(live.spans) AS spans,
    sum(live.stored) AS stored,
    sum(live.duplicate) AS duplicate,
    sum(live.sampled_out) AS sampled_out,
    sum(live.dead_lettered) AS dead_lettered,
    sum(live.missing_spans) AS missing,
    sum(live.log_records) AS log_records,
    sum(live.logs_stored) AS logs_stored,
    sum(live.logs_duplicate) AS logs_duplicate,
    sum(live.logs_ignored) AS logs_ignored,
    sum(live.logs_dead_lettered) AS logs_dead_lettered,
    sum(live.missing_logs) AS logs_missing,
    countIf(live.missing_spans != 0 OR live.missing_logs != 0) = 0 AS closes
FROM
(
    SELECT
        *,
        toInt64(spans) - toInt64(stored + duplicate + sampled_out + dead_lettered) AS missing_spans,
        toInt64(log_records) - toInt64(logs_stored + logs_duplicate + logs_ignored + logs_dead_lettered) AS missing_logs,
        min(toNullable(ledger.first_offset)) OVER
            (PARTITION BY topic, partition ORDER BY epoch RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS superseded_from
    FROM ledger FINAL
) AS live
WHERE live.superseded_from IS NULL OR live.first_offset < live.superseded_from
GROUP BY topic, partition, tenant;
