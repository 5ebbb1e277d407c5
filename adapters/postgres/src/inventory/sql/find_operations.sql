-- The movements that the operations $1 made, with the time and the epoch. Asked once the levels
-- are locked, so it sees what was adjusted meanwhile.
SELECT {movement}, clock_timestamp() AS now, e.epoch AS store_epoch
FROM (SELECT max(epoch) AS epoch FROM {schema}.epochs) AS e
LEFT JOIN {schema}.movements AS m ON m.cause = 'adjusted' AND m.cause_id = ANY ($1)
