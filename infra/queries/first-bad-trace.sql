-- The first traces in which a step failed, with the reason.
--
-- @workflow = %      which workflows, a LIKE pattern
-- @step = %          which steps, a LIKE pattern
-- @evaluator = %     which evaluators, a LIKE pattern
-- @minutes = 1440    how far back
-- @top = 1           how many traces
SELECT
    anchor,
    tenant,
    workflow,
    trace_id,
    step,
    agent,
    evaluator,
    score,
    reason_code,
    reason
FROM v1_results
WHERE final AND verdict = 'fail'
    AND anchor >= now() - toIntervalMinute({minutes:UInt32})
    AND workflow LIKE {workflow:String} AND step LIKE {step:String} AND evaluator LIKE {evaluator:String}
ORDER BY anchor, trace_id, position
LIMIT 1 BY tenant, trace_id
LIMIT {top:UInt32}
