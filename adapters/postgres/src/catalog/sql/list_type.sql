SELECT {product}
FROM {schema}.products AS p
WHERE p.product_id > $1 AND p.product_type = $3
ORDER BY p.product_id
LIMIT $2
