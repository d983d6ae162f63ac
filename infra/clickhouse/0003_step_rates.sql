-- Fail rates per step in 5-minute buckets, recomputed from the trajectories wherever one was touched.
--
-- Why not an incremental rollup: it would count every revision of a trace. This one replaces a bucket's numbers with what
-- the final rows say now, and can be thrown away and rebuilt.

-- Which buckets were touched, and when last.
CREATE TABLE IF NOT EXISTS dirty
(
    tenant LowCardinality(String),
    bucket DateTime('UTC'),
    touched_at DateTime64(3, 'UTC')
)
ENGINE = {engine_prefix}ReplacingMergeTree(touched_at)
ORDER BY (tenant, bucket)
TTL toDateTime(touched_at) + INTERVAL 7 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS dirty_from_trajectories TO dirty AS
SELECT tenant, toStartOfFiveMinutes(anchor) AS bucket, max(scored_at) AS touched_at
FROM trajectories
GROUP BY tenant, bucket;

CREATE TABLE IF NOT EXISTS step_rates_5m
(
    tenant LowCardinality(String),
    bucket DateTime('UTC') CODEC(Delta, ZSTD(1)),
    workflow LowCardinality(String),
    step LowCardinality(String),
    evaluator LowCardinality(String),
    asof DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
    n UInt64 CODEC(T64, ZSTD(1)),
    fails UInt64 CODEC(T64, ZSTD(1)),
    score_n UInt64 CODEC(T64, ZSTD(1)),
    score_sum Float64 CODEC(ZSTD(1)),
    score_quantiles AggregateFunction(quantilesTDigest(0.05, 0.5), Float64) CODEC(ZSTD(1))
)
ENGINE = {engine_prefix}ReplacingMergeTree(asof)
PARTITION BY toDate(bucket)
ORDER BY (tenant, bucket, workflow, step, evaluator)
TTL bucket + INTERVAL 400 DAY
SETTINGS ttl_only_drop_parts = 1;

-- A bucket is stale while its last touch is younger than its numbers less a minute: an insert stamped just before a
-- refresh may become visible just after it. Known series of a stale bucket take part with zero rows, so that one whose
-- last result vanished is set to zero. Rates count results of decided traces with verdict pass or fail and weight > 0.
CREATE MATERIALIZED VIEW IF NOT EXISTS step_rates_refresh
REFRESH EVERY 10 SECOND APPEND TO step_rates_5m AS
WITH
    computed AS
    (
        SELECT tenant, bucket, max(asof) AS computed_at
        FROM step_rates_5m
        WHERE bucket >= (SELECT min(bucket) FROM dirty)
        GROUP BY tenant, bucket
    ),
    stale AS
    (
        SELECT touched.tenant AS tenant, touched.bucket AS bucket
        FROM (SELECT tenant, bucket, max(touched_at) AS touched_at FROM dirty GROUP BY tenant, bucket) AS touched
        LEFT JOIN computed ON computed.tenant = touched.tenant AND computed.bucket = touched.bucket
        WHERE touched.touched_at >= computed.computed_at - INTERVAL 60 SECOND
    ),
    counted AS
    (
        SELECT
            tenant,
            toStartOfFiveMinutes(anchor) AS bucket,
            workflow,
            results.step AS step,
            results.evaluator AS evaluator,
            toUInt8(results.verdict = 'fail') AS failed,
            results.score AS score,
            toUInt8(1) AS counts
        FROM trajectories FINAL
        ARRAY JOIN results
        WHERE (tenant, toStartOfFiveMinutes(anchor)) IN (SELECT tenant, bucket FROM stale)
            AND state = 'decided' AND weight > 0 AND results.verdict IN ('pass', 'fail')
        UNION ALL
        SELECT DISTINCT tenant, bucket, workflow, step, evaluator, toUInt8(0), CAST(NULL, 'Nullable(Float64)'), toUInt8(0)
        FROM step_rates_5m
        WHERE (tenant, bucket) IN (SELECT tenant, bucket FROM stale)
    )
SELECT
    tenant,
    bucket,
    workflow,
    step,
    evaluator,
    now64(3) AS asof,
    sum(counts) AS n,
    sum(failed) AS fails,
    countIf(score IS NOT NULL) AS score_n,
    sum(ifNull(score, 0.)) AS score_sum,
    quantilesTDigestStateIf(0.05, 0.5)(ifNull(score, 0.), score IS NOT NULL) AS score_quantiles
FROM counted
GROUP BY tenant, bucket, workflow, step, evaluator;
