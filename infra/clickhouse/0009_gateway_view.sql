-- The senders' side of the ledger, to be read: what was sent = what is in the log + refused + ignored. The scorers' side is v1_ledger.
CREATE VIEW IF NOT EXISTS v1_gateway_ledger AS
SELECT
    topic,
    tenant,
    signal,
    outcome,
    reason,
    if(outcome = 'in_log', gateway_ledger.partition, NULL) AS partition,
    sum(gateway_ledger.n) AS n,
    if(outcome = 'in_log', min(gateway_ledger.first_offset), NULL) AS first_offset,
    if(outcome = 'in_log', max(gateway_ledger.last_offset), NULL) AS last_offset,
    uniqExact(gateway) AS gateways,
    toDateTime64(max(told_ms) / 1000, 3, 'UTC') AS told_at
FROM gateway_ledger FINAL
WHERE outcome != 'alive'
GROUP BY topic, tenant, signal, outcome, reason, gateway_ledger.partition;
