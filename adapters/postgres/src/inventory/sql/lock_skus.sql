-- All levels of the SKUs $1, locked in their order.
SELECT {level}
FROM {schema}.levels AS l
WHERE l.sku = ANY ($1)
ORDER BY l.sku, l.location
FOR UPDATE
