-- All levels of at most $2 unpublished SKUs after $1. The time is that of the beginning of the
-- transaction, which is this statement: before its snapshot.
SELECT now() AS now, e.epoch AS store_epoch, l.trace, {level}
FROM (SELECT max(epoch) AS epoch FROM {schema}.epochs) AS e
LEFT JOIN (
    SELECT DISTINCT sku FROM {schema}.levels
    WHERE unpublished AND ($1::text IS NULL OR sku > $1)
    ORDER BY sku LIMIT $2
) AS page ON true
LEFT JOIN {schema}.levels AS l ON l.sku = page.sku
ORDER BY l.sku, l.location
