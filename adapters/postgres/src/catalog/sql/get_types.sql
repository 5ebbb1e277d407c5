SELECT name, schema, variant_schema FROM {schema}.product_types WHERE name = ANY($1::text[])
