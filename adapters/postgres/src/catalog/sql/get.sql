SELECT {product}
FROM {schema}.products AS p
WHERE p.product_id = ANY(ARRAY(
    SELECT unnest($1::text[])
    UNION
    SELECT product_id FROM {schema}.products WHERE slug = ANY($2::text[])
    UNION
    SELECT product_id FROM {schema}.variants WHERE sku = ANY($3::text[])
))
