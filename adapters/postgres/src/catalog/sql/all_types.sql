SELECT name, schema, variant_schema FROM {schema}.product_types ORDER BY name
