SELECT {product} FROM {schema}.products AS p WHERE p.product_id = ANY($1::text[])
