UPDATE {schema}.products AS p
SET slug = w.slug, title = w.title, description = w.description, brand = w.brand,
    category = w.category::jsonb, product_type = w.product_type, status = w.status,
    media = w.media::jsonb, attributes = w.attributes::jsonb, version = w.version
FROM {product_rows}
WHERE p.product_id = w.product_id
