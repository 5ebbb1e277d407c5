-- What a request of one line would find, in one snapshot: the reservation $1, all levels of the
-- SKU $2, and the time.
SELECT {reservation}, {level}, clock_timestamp() AS now
FROM (VALUES (1)) AS one
LEFT JOIN {schema}.reservations AS r ON r.id = $1
LEFT JOIN {schema}.levels AS l ON l.sku = $2
