SELECT {product} FROM {schema}.products AS p WHERE p.slug = ANY($1::text[])
