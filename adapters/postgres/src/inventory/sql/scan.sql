-- All levels of at most $2 SKUs after $1.
SELECT {level}
FROM {schema}.levels AS l
JOIN (
    SELECT DISTINCT sku FROM {schema}.levels
    WHERE $1::text IS NULL OR sku > $1
    ORDER BY sku LIMIT $2
) AS page ON page.sku = l.sku
ORDER BY l.sku, l.location
