-- What people tell us (expectations, labels) and what the pipeline says of itself (alerts, dead letters, the ledger).

-- Task truth: what a task should have done. The newest load of a task wins.
CREATE TABLE IF NOT EXISTS expectations
(
    workflow LowCardinality(String),
    task_id String,
    body String CODEC(ZSTD(1)),
    loaded_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = {engine_prefix}ReplacingMergeTree(loaded_at)
ORDER BY (workflow, task_id)
SETTINGS index_granularity = 256;

-- What people said of a target. A table of its own, so that a label survives every re-evaluation.
CREATE TABLE IF NOT EXISTS human_labels
(
    tenant LowCardinality(String),
    trace_id FixedString(16),
    span_id FixedString(8),
    evaluator LowCardinality(String),
    labeller LowCardinality(String),
    verdict Enum8('pass' = 1, 'fail' = 2),
    note String CODEC(ZSTD(1)),
    labelled_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = {engine_prefix}ReplacingMergeTree(labelled_at)
ORDER BY (tenant, trace_id, span_id, evaluator, labeller)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Transitions of alerts. An event published again has the same key and the same content.
CREATE TABLE IF NOT EXISTS alert_events
(
    alert_key String,
    episode UInt64,
    seq UInt64,
    id String,
    type LowCardinality(String),
    status LowCardinality(String),
    reason LowCardinality(String),
    tenant LowCardinality(String),
    workflow LowCardinality(String),
    step LowCardinality(String),
    evaluator LowCardinality(String),
    rule_uid LowCardinality(String),
    rule_version LowCardinality(String),
    severity LowCardinality(String),
    starts_at DateTime64(3, 'UTC'),
    fired_at Nullable(DateTime64(3, 'UTC')),
    resolved_at Nullable(DateTime64(3, 'UTC')),
    event_time DateTime64(3, 'UTC'),
    labels Map(String, String),
    n UInt64,
    fails UInt64,
    rate Nullable(Float64),
    lo Nullable(Float64),
    hi Nullable(Float64),
    payload String CODEC(ZSTD(1)),
    written_at DateTime('UTC') DEFAULT now()
)
ENGINE = {engine_prefix}ReplacingMergeTree
ORDER BY (alert_key, episode, seq)
TTL written_at + INTERVAL 400 DAY
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1;

-- Where a dead letter came from and why; its bytes are on the dlq topic. item is the span's place in its record.
CREATE TABLE IF NOT EXISTS dlq_index
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    item UInt32,
    tenant LowCardinality(String),
    reason LowCardinality(String),
    detail String CODEC(ZSTD(1)),
    received_at DateTime64(3, 'UTC')
)
ENGINE = {engine_prefix}ReplacingMergeTree
PARTITION BY toDate(received_at)
ORDER BY (topic, partition, offset, item)
TTL toDateTime(received_at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1;

-- What became of the records of one flush, per tenant. A later assignment (epoch) of a partition starts again at the
-- committed offset: its rows supersede those of earlier epochs from its first offset on.
CREATE TABLE IF NOT EXISTS ledger
(
    topic LowCardinality(String),
    partition UInt32,
    epoch UInt64,
    first_offset UInt64,
    last_offset UInt64,
    tenant LowCardinality(String),
    records UInt64 CODEC(T64, ZSTD(1)),
    spans UInt64 CODEC(T64, ZSTD(1)),
    stored UInt64 CODEC(T64, ZSTD(1)),
    duplicate UInt64 CODEC(T64, ZSTD(1)),
    sampled_out UInt64 CODEC(T64, ZSTD(1)),
    dead_lettered UInt64 CODEC(T64, ZSTD(1)),
    written_at DateTime('UTC') DEFAULT now()
)
ENGINE = {engine_prefix}ReplacingMergeTree
PARTITION BY toDate(written_at)
ORDER BY (topic, partition, epoch, first_offset, tenant)
TTL written_at + INTERVAL 30 DAY
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;
