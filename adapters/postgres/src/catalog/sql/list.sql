SELECT {product}
FROM {schema}.products AS p
WHERE p.product_id > $1
ORDER BY p.product_id
LIMIT $2
