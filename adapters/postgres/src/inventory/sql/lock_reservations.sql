-- The reservations $1, locked in the order of their ids; the time since when they are; the epoch.
WITH locked AS MATERIALIZED (
    SELECT r.*
    FROM {schema}.reservations AS r
    WHERE r.id = ANY ($1)
    ORDER BY r.id
    FOR UPDATE
)
SELECT {reservation}, clock_timestamp() AS now, e.epoch AS store_epoch
FROM (SELECT max(epoch) AS epoch FROM {schema}.epochs) AS e
LEFT JOIN locked AS r ON true
