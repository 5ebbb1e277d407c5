INSERT INTO {schema}.products (
    product_id, slug, title, description, brand, category, product_type, status, media,
    attributes, version
)
SELECT product_id, slug, title, description, brand, category::jsonb, product_type, status,
    media::jsonb, attributes::jsonb, version
FROM {product_rows}
