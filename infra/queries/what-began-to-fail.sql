-- Which agent and tool began to fail, and when: for each step the moment that best splits its history in a good and a
-- bad part, with the first failing trace after it.
--
-- `evidence` is the log-likelihood ratio (nats) of two rates, lower before and higher after, against one rate throughout;
-- what was repaired later is found too. Reads the newest 20,000 results of each step.
--
-- @workflow = %      which workflows, a LIKE pattern
-- @minutes = 1440    how far back
-- @evidence = 8      how clear the change must be; by chance alone 8 is rare among hundreds of steps
WITH
    counted AS
    (
        SELECT tenant, workflow, agent, step, evaluator, anchor, trace_id, position, reason_code, verdict = 'fail' AS failed
        FROM v1_results
        WHERE final AND weight > 0 AND verdict IN ('pass', 'fail')
            AND anchor >= now() - toIntervalMinute({minutes:UInt32})
            AND workflow LIKE {workflow:String}
        ORDER BY anchor DESC, trace_id, position
        LIMIT 20000 BY tenant, workflow, agent, step, evaluator
    ),
    series AS
    (
        SELECT
            tenant, workflow, agent, step, evaluator,
            arraySort(groupArray((anchor, trace_id, position, failed, reason_code))) AS points,
            length(points) AS n,
            arrayCumSum(points.4) AS fails_until,
            fails_until[n] AS fails
        FROM counted
        GROUP BY tenant, workflow, agent, step, evaluator
        HAVING n >= 5 AND fails >= 3 AND fails < n
    ),
    split AS
    (
        SELECT
            *,
            arrayMap(
                (f, k) -> if(k = n OR (fails - f) * k <= f * (n - k), 0.,
                    f * log(greatest(f, 1) / k) + (k - f) * log(greatest(k - f, 1) / k)
                    + (fails - f) * log(greatest(fails - f, 1) / (n - k))
                    + (n - k - fails + f) * log(greatest(n - k - fails + f, 1) / (n - k))
                    - fails * log(fails / n) - (n - fails) * log((n - fails) / n)),
                fails_until, arrayEnumerate(points)) AS evidence_at,
            toUInt32(indexOf(evidence_at, arrayMax(evidence_at))) AS good
        FROM series
    )
SELECT
    tenant,
    workflow,
    agent,
    step,
    evaluator,
    points[good + 1].1 AS since,
    points[good + 1].2 AS first_bad_trace,
    points[good + 1].5 AS reason_code,
    good AS n_before,
    round(fails_until[good] / good, 4) AS rate_before,
    n - good AS n_after,
    round((fails - fails_until[good]) / n_after, 4) AS rate_after,
    round(evidence_at[good], 1) AS evidence
FROM split
WHERE evidence_at[good] >= {evidence:Float64}
ORDER BY evidence_at[good] DESC, tenant, workflow, agent, step, evaluator
