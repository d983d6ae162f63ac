-- The SQL contract: read these and nothing else. Each column is described in docs/sql.md.
--
-- Replaced and repeated rows are invisible here (FINAL). Ids are lower-case hex; trace_key is the same id as bytes, in the
-- sort key of its table: WHERE trace_key = unhex('...') reads a few kilobytes where WHERE trace_id = '...' scans.

CREATE VIEW IF NOT EXISTS v1_spans AS
SELECT
    tenant,
    lower(hex(trace_id)) AS trace_id,
    lower(hex(span_id)) AS span_id,
    lower(hex(parent_id)) AS parent_id,
    name,
    kind,
    dialect,
    service,
    workflow,
    agent,
    tool,
    call_id,
    model,
    provider,
    session_id,
    task_id,
    received_at,
    start_time,
    end_time,
    (toUnixTimestamp64Nano(end_time) - toUnixTimestamp64Nano(start_time)) / 1e6 AS duration_ms,
    CAST(transform(status, [0, 1, 2], ['unset', 'ok', 'error'], 'unknown'), 'String') AS status,
    status_message,
    error_type,
    input_tokens,
    output_tokens,
    arguments,
    result,
    flags,
    content_hash,
    spans.trace_id AS trace_key
FROM spans FINAL;

CREATE VIEW IF NOT EXISTS v1_trajectories AS
SELECT
    tenant,
    lower(hex(trace_id)) AS trace_id,
    workflow,
    agent,
    task_id,
    session_id,
    release,
    state,
    state = 'decided' AS final,
    close_reason,
    if(has(results.evaluator, 'TrajectoryScore'),
        CAST(results.verdict[indexOf(results.evaluator, 'TrajectoryScore')], 'String'), '') AS verdict,
    results.score[indexOf(results.evaluator, 'TrajectoryScore')] AS score,
    length(results.verdict) AS n_results,
    countEqual(results.verdict, 'fail') AS n_fails,
    n_items,
    n_spans,
    n_steps,
    n_tool_calls,
    input_tokens,
    output_tokens,
    anchor,
    start_time,
    end_time,
    (toUnixTimestamp64Nano(end_time) - toUnixTimestamp64Nano(start_time)) / 1e6 AS duration_ms,
    last_log_at,
    deadline,
    partition,
    config_seq,
    flags,
    weight,
    revision,
    scored_at,
    trajectories.trace_id AS trace_key
FROM trajectories FINAL;

CREATE VIEW IF NOT EXISTS v1_results AS
SELECT
    tenant,
    workflow,
    lower(hex(trace_id)) AS trace_id,
    if(results.span_id = toFixedString('', 8), '', lower(hex(results.span_id))) AS span_id,
    results.step AS step,
    results.agent AS agent,
    results.evaluator AS evaluator,
    results.evaluator_version AS evaluator_version,
    results.verdict AS verdict,
    results.score AS score,
    results.basis AS basis,
    results.reason_code AS reason_code,
    results.reason AS reason,
    results.evidence AS evidence,
    results.event_time AS event_time,
    position,
    anchor,
    state = 'decided' AS final,
    close_reason,
    task_id,
    session_id,
    release,
    weight,
    config_seq,
    revision,
    scored_at,
    trajectories.trace_id AS trace_key
FROM trajectories FINAL
ARRAY JOIN results, arrayEnumerate(results.verdict) AS position;

CREATE VIEW IF NOT EXISTS v1_step_rates AS
SELECT
    tenant,
    bucket,
    workflow,
    step,
    evaluator,
    n,
    fails,
    fails / n AS fail_rate,
    if(score_n = 0, NULL, score_sum / score_n) AS score_mean,
    if(score_n = 0, NULL, finalizeAggregation(score_quantiles)[1]) AS score_p05,
    if(score_n = 0, NULL, finalizeAggregation(score_quantiles)[2]) AS score_p50,
    asof
FROM step_rates_5m FINAL
WHERE n > 0;

CREATE VIEW IF NOT EXISTS v1_verdict_changes AS
SELECT
    tenant,
    workflow,
    lower(hex(trace_id)) AS trace_id,
    if(span_id = toFixedString('', 8), '', lower(hex(span_id))) AS span_id,
    step,
    evaluator,
    before,
    after,
    anchor,
    changed_at,
    revision,
    verdict_changes.trace_id AS trace_key
FROM verdict_changes FINAL;

CREATE VIEW IF NOT EXISTS v1_alerts AS
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
    payload
FROM alert_events FINAL;

CREATE VIEW IF NOT EXISTS v1_dead_letters AS
SELECT topic, partition, offset, item, tenant, reason, detail, received_at
FROM dlq_index FINAL;

CREATE VIEW IF NOT EXISTS v1_human_labels AS
SELECT
    tenant,
    lower(hex(trace_id)) AS trace_id,
    if(span_id = toFixedString('', 8), '', lower(hex(span_id))) AS span_id,
    evaluator,
    labeller,
    verdict,
    note,
    labelled_at,
    human_labels.trace_id AS trace_key
FROM human_labels FINAL;

CREATE VIEW IF NOT EXISTS v1_expectations AS
SELECT workflow, task_id, JSONExtractString(body, 'task') AS task, body, loaded_at
FROM expectations FINAL;

-- The sum that has to close: each span of the log is stored, a duplicate, sampled out or dead-lettered.
CREATE VIEW IF NOT EXISTS v1_ledger AS
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
    sum(toInt64(live.spans) - toInt64(live.stored + live.duplicate + live.sampled_out + live.dead_lettered)) AS missing,
    countIf(live.spans != live.stored + live.duplicate + live.sampled_out + live.dead_lettered) = 0 AS closes
FROM
(
    SELECT
        *,
        min(toNullable(ledger.first_offset)) OVER
            (PARTITION BY topic, partition ORDER BY epoch RANGE BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS superseded_from
    FROM ledger FINAL
) AS live
WHERE live.superseded_from IS NULL OR live.first_offset < live.superseded_from
GROUP BY topic, partition, tenant;
