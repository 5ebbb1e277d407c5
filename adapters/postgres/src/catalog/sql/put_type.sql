INSERT INTO {schema}.product_types AS t (name, schema, variant_schema) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE
SET schema = excluded.schema, variant_schema = excluded.variant_schema
WHERE (t.schema, t.variant_schema) IS DISTINCT FROM (excluded.schema, excluded.variant_schema)
