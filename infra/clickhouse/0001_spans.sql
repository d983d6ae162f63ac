-- Spans as they came in (redacted), and where each trace's spans lie in time.
--
-- Every statement here and in the later files can be run again: a migration that was interrupted is simply run once more.
-- {engine_prefix} is empty on one server; names are those of the connection's database.

-- One row per distinct (span id, content) of a trace. The row received first wins, so a redelivery changes nothing.
-- received_at is the append time of the Kafka record; client times (start_time, end_time) are plain columns.
CREATE TABLE IF NOT EXISTS spans
(
    tenant LowCardinality(String),
    received_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    span_id FixedString(8) CODEC(NONE),
    parent_id String CODEC(ZSTD(1)),
    content_hash UInt64 CODEC(NONE),
    name LowCardinality(String),
    kind LowCardinality(String),
    dialect LowCardinality(String),
    service LowCardinality(String),
    workflow LowCardinality(String),
    agent LowCardinality(String),
    tool LowCardinality(String),
    call_id String CODEC(ZSTD(1)),
    model LowCardinality(String),
    provider LowCardinality(String),
    session_id String CODEC(ZSTD(1)),
    task_id String CODEC(ZSTD(1)),
    start_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    end_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    status UInt8 CODEC(ZSTD(1)),
    status_message String CODEC(ZSTD(1)),
    error_type LowCardinality(String),
    input_tokens UInt64 CODEC(T64, ZSTD(1)),
    output_tokens UInt64 CODEC(T64, ZSTD(1)),
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

-- The received times of a trace's first and last span: its anchor, and the days that a read-back has to look at.
CREATE TABLE IF NOT EXISTS trace_ix
(
    tenant LowCardinality(String),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    first_received SimpleAggregateFunction(min, DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1)),
    last_received SimpleAggregateFunction(max, DateTime64(3, 'UTC')) CODEC(Delta, ZSTD(1))
)
ENGINE = {engine_prefix}AggregatingMergeTree
PARTITION BY toYYYYMM(first_received)
ORDER BY (tenant, trace_id)
TTL toDateTime(last_received) + INTERVAL 31 DAY
SETTINGS index_granularity = 512, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS trace_ix_from_spans TO trace_ix AS
SELECT tenant, trace_id, min(received_at) AS first_received, max(received_at) AS last_received
FROM spans
GROUP BY tenant, trace_id;
