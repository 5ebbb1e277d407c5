-- Set apart, or the limit would tempt the planner to walk the table in the order of ids.
WITH found AS MATERIALIZED (
    SELECT product_id
    FROM {schema}.products
    WHERE attributes @> $3::jsonb AND product_id > $1 AND ($4::text IS NULL OR product_type = $4)
), page AS (
    SELECT product_id FROM found ORDER BY product_id LIMIT $2
)
SELECT {product}
FROM page JOIN {schema}.products AS p USING (product_id)
ORDER BY p.product_id
