SELECT {level}
FROM {schema}.levels AS l
WHERE l.sku = ANY ($1)
ORDER BY l.sku, l.location
