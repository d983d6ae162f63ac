-- Fail rate per workflow, step and evaluator over time.
--
-- Exact and fresh: reads the judged trajectories. For weeks at a time read v1_step_rates, which holds the same numbers
-- in 5-minute buckets and is at most some seconds behind.
--
-- @workflow = %      which workflows, a LIKE pattern
-- @step = %          which steps, a LIKE pattern
-- @evaluator = %     which evaluators, a LIKE pattern
-- @minutes = 1440    how far back
-- @bucket = 5        minutes of one bucket
SELECT
    toStartOfInterval(anchor, toIntervalMinute({bucket:UInt32})) AS time,
    workflow,
    step,
    evaluator,
    count() AS n,
    countIf(verdict = 'fail') AS fails,
    round(fails / n, 4) AS fail_rate,
    round(avg(score), 4) AS score_mean
FROM v1_results
WHERE final AND weight > 0 AND verdict IN ('pass', 'fail')
    AND anchor >= now() - toIntervalMinute({minutes:UInt32})
    AND workflow LIKE {workflow:String} AND step LIKE {step:String} AND evaluator LIKE {evaluator:String}
GROUP BY time, workflow, step, evaluator
ORDER BY workflow, step, evaluator, time
