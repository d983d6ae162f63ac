-- The worst steps of the last hour, with a failing trace of each to look at.
--
-- Ranked by the lower end of the 95 % Wilson interval: 3 fails of 4 are less certain than 300 of 400.
--
-- @workflow = %      which workflows, a LIKE pattern
-- @minutes = 60      how far back
-- @at_least = 5      fewest results of a step that is ranked
-- @top = 20          how many steps
SELECT
    tenant,
    workflow,
    step,
    evaluator,
    count() AS n,
    countIf(verdict = 'fail') AS fails,
    round(fails / n, 4) AS fail_rate,
    round(((fails + 1.92) / n - 1.96 * sqrt(fails * (n - fails) / n + 0.96) / n) / (1 + 3.84 / n), 4) AS surely_above,
    topKIf(1)(reason_code, verdict = 'fail')[1] AS usual_reason,
    argMaxIf(trace_id, anchor, verdict = 'fail') AS newest_bad_trace
FROM v1_results
WHERE final AND weight > 0 AND verdict IN ('pass', 'fail')
    AND anchor >= now() - toIntervalMinute({minutes:UInt32})
    AND workflow LIKE {workflow:String}
GROUP BY tenant, workflow, step, evaluator
HAVING n >= {at_least:UInt32} AND fails > 0
ORDER BY surely_above DESC, tenant, workflow, step, evaluator
LIMIT {top:UInt32}
