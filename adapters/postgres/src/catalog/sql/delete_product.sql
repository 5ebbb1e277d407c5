DELETE FROM {schema}.products WHERE product_id = $1
