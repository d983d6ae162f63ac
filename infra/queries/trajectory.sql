-- One trajectory, step by step, with its verdicts and the reasons of what failed.
--
-- @trace_id               the trace, 32 hex digits
-- @tenant = default       whose trace
WITH
    spans AS
    (
        SELECT *
        FROM v1_spans
        WHERE tenant = {tenant:String} AND trace_key = unhex({trace_id:String})
    ),
    judged AS
    (
        SELECT
            span_id,
            any(step) AS step,
            arrayStringConcat(groupArray(concat(evaluator, ' ', toString(verdict))), ', ') AS verdicts,
            arrayStringConcat(groupArrayIf(concat(evaluator, ': ', reason), verdict IN ('fail', 'error')), '; ') AS reasons
        FROM (SELECT * FROM v1_results WHERE tenant = {tenant:String} AND trace_key = unhex({trace_id:String}) ORDER BY position)
        GROUP BY span_id
    )
SELECT
    at_ms,
    step,
    kind,
    duration_ms,
    verdicts,
    reasons,
    arguments,
    result
FROM
(
    SELECT
        0 AS last,
        round((toUnixTimestamp64Nano(start_time) - (SELECT min(toUnixTimestamp64Nano(start_time)) FROM spans)) / 1e6, 1) AS at_ms,
        if(judged.step = '', name, judged.step) AS step,
        kind,
        round(spans.duration_ms, 1) AS duration_ms,
        judged.verdicts AS verdicts,
        judged.reasons AS reasons,
        ifNull(spans.arguments, '') AS arguments,
        ifNull(spans.result, '') AS result,
        span_id
    FROM spans LEFT JOIN judged ON judged.span_id = spans.span_id
    UNION ALL
    SELECT
        1,
        0,
        step,
        'trajectory',
        (SELECT round((max(toUnixTimestamp64Nano(end_time)) - min(toUnixTimestamp64Nano(start_time))) / 1e6, 1) FROM spans),
        verdicts,
        reasons,
        '',
        '',
        ''
    FROM judged
    WHERE span_id = ''
)
ORDER BY last, at_ms, span_id
