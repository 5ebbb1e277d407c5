DELETE FROM {schema}.variants WHERE sku = ANY($1::text[])
