INSERT INTO {schema}.product_ids (product_id)
SELECT product_id FROM unnest($1::text[]) AS wanted (product_id)
WHERE NOT EXISTS (SELECT FROM {schema}.product_ids AS known WHERE known.product_id = wanted.product_id)
ORDER BY product_id COLLATE "C"
ON CONFLICT (product_id) DO NOTHING
