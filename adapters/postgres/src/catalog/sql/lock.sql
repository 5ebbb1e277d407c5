SELECT count(*) FROM (
    SELECT FROM {schema}.product_ids WHERE product_id = ANY($1::text[])
    ORDER BY product_id
    FOR UPDATE
) AS locked
