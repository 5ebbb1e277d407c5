DELETE FROM {schema}.variants WHERE product_id = $1
