-- At most $1 overdue reservations after ($2, $3) that nobody else is busy with; the longest
-- overdue first.
WITH locked AS MATERIALIZED (
    SELECT r.*
    FROM {schema}.reservations AS r
    WHERE r.state = 'held'
        AND r.deadline <= statement_timestamp()
        AND (r.deadline, r.id) > ($2::timestamptz, $3)
    ORDER BY r.deadline, r.id
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
SELECT {reservation}, clock_timestamp() AS now, e.epoch AS store_epoch
FROM (SELECT max(epoch) AS epoch FROM {schema}.epochs) AS e
LEFT JOIN locked AS r ON true
ORDER BY r.deadline, r.id
