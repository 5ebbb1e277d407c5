-- The levels of the SKUs $1 at the locations $2, locked in their order, and the time since when
-- all of them are.
WITH locked AS MATERIALIZED (
    SELECT {level}
    FROM {schema}.levels AS l
    JOIN UNNEST($1::text[], $2::text[]) AS wanted (sku, location)
        ON l.sku = wanted.sku AND l.location = wanted.location
    ORDER BY l.sku, l.location
    FOR UPDATE OF l
)
SELECT {level}, clock_timestamp() AS now FROM locked AS l
