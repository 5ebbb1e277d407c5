SELECT 'slug', slug, product_id FROM {schema}.products WHERE slug = ANY($1::text[])
UNION ALL
SELECT 'sku', sku, product_id FROM {schema}.skus WHERE sku = ANY($2::text[])
UNION ALL
SELECT 'type', name, '' FROM {schema}.product_types WHERE name = ANY($3::text[])
