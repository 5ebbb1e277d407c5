-- The reservations $1, with the time and the epoch. Asked once the levels are locked, so it sees
-- what was granted meanwhile.
SELECT {reservation}, clock_timestamp() AS now, e.epoch AS store_epoch
FROM (SELECT max(epoch) AS epoch FROM {schema}.epochs) AS e
LEFT JOIN {schema}.reservations AS r ON r.id = ANY ($1)
