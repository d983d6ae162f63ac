-- Trajectories with their results inside, what was published of them, and what changed late.

-- One row a trace, replaced as a whole: the greatest revision wins (more items, then final, then the newer config).
-- anchor is the received time of the trace's first span: it never changes, so no replaced row is left behind elsewhere.
CREATE TABLE IF NOT EXISTS trajectories
(
    tenant LowCardinality(String),
    anchor DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    revision UInt64 CODEC(ZSTD(1)),
    state Enum8('open' = 1, 'decided' = 2),
    close_reason LowCardinality(String),
    partition UInt32 CODEC(T64, ZSTD(1)),
    workflow LowCardinality(String),
    agent LowCardinality(String),
    task_id String CODEC(ZSTD(1)),
    session_id String CODEC(ZSTD(1)),
    release LowCardinality(String),
    n_items UInt32 CODEC(T64, ZSTD(1)),
    n_spans UInt32 CODEC(T64, ZSTD(1)),
    n_steps UInt32 CODEC(T64, ZSTD(1)),
    n_tool_calls UInt32 CODEC(T64, ZSTD(1)),
    input_tokens UInt64 CODEC(T64, ZSTD(1)),
    output_tokens UInt64 CODEC(T64, ZSTD(1)),
    start_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    end_time DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    last_log_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    deadline DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    config_seq UInt32 CODEC(T64, ZSTD(1)),
    flags UInt32 CODEC(T64, ZSTD(1)),
    weight Float64 CODEC(ZSTD(1)),
    outcomes String CODEC(ZSTD(1)),
    `results.span_id` Array(FixedString(8)) CODEC(ZSTD(1)),
    `results.step` Array(LowCardinality(String)),
    `results.agent` Array(LowCardinality(String)),
    `results.evaluator` Array(LowCardinality(String)),
    `results.evaluator_version` Array(LowCardinality(String)),
    `results.verdict` Array(Enum8('pass' = 1, 'fail' = 2, 'unscored' = 3, 'error' = 4)),
    `results.score` Array(Nullable(Float64)) CODEC(ZSTD(1)),
    `results.basis` Array(LowCardinality(String)),
    `results.reason_code` Array(LowCardinality(String)),
    `results.reason` Array(String) CODEC(ZSTD(1)),
    `results.evidence` Array(String) CODEC(ZSTD(1)),
    `results.event_time` Array(DateTime64(9, 'UTC')) CODEC(ZSTD(1)),
    scored_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(1)),
    INDEX trace_id_ix trace_id TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX last_log_ix last_log_at TYPE minmax GRANULARITY 1
)
ENGINE = {engine_prefix}ReplacingMergeTree(revision)
PARTITION BY toDate(anchor)
ORDER BY (tenant, toStartOfFiveMinutes(anchor), trace_id)
TTL toDateTime(anchor) + INTERVAL 400 DAY
SETTINGS index_granularity = 1024, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- Marks: the outcomes of this trace are acknowledged on the outcome log. Kept as long as the trace's row, because a
-- decided row without a mark is published again.
CREATE TABLE IF NOT EXISTS published
(
    tenant LowCardinality(String),
    anchor DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1))
)
ENGINE = {engine_prefix}ReplacingMergeTree
PARTITION BY toDate(anchor)
ORDER BY (tenant, toStartOfFiveMinutes(anchor), trace_id)
TTL toDateTime(anchor) + INTERVAL 400 DAY
SETTINGS index_granularity = 1024, ttl_only_drop_parts = 1;

-- The greatest log clock that a row of a partition carries: where the clock starts when the partition is assigned.
CREATE TABLE IF NOT EXISTS partition_clock
(
    partition UInt32,
    last_log_at SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = {engine_prefix}AggregatingMergeTree
ORDER BY partition;

CREATE MATERIALIZED VIEW IF NOT EXISTS partition_clock_from_trajectories TO partition_clock AS
SELECT partition, max(last_log_at) AS last_log_at
FROM trajectories
GROUP BY partition;

-- What a late span changed in a decided trace. The key is the whole change, so a repeated insert adds nothing.
CREATE TABLE IF NOT EXISTS verdict_changes
(
    tenant LowCardinality(String),
    anchor DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    trace_id FixedString(16) CODEC(ZSTD(1)),
    revision UInt64 CODEC(ZSTD(1)),
    workflow LowCardinality(String),
    span_id FixedString(8) CODEC(NONE),
    step LowCardinality(String),
    evaluator LowCardinality(String),
    before LowCardinality(String),
    after LowCardinality(String),
    changed_at DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
)
ENGINE = {engine_prefix}ReplacingMergeTree
PARTITION BY toDate(anchor)
ORDER BY (tenant, toStartOfFiveMinutes(anchor), trace_id, revision, span_id, evaluator)
TTL toDateTime(anchor) + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;
