SELECT {product}
FROM {schema}.products AS p
WHERE p.product_id = ANY(ARRAY(
    SELECT product_id FROM {schema}.variants WHERE sku = ANY($1::text[])
))
