INSERT INTO {schema}.skus (sku, product_id)
SELECT sku, product_id FROM unnest($1::text[], $2::text[]) AS claimed (sku, product_id)
ORDER BY sku COLLATE "C"
