INSERT INTO {schema}.variants (
    sku, product_id, position, name, options, price_minor, currency, attributes, version
)
SELECT sku, product_id, position, name, options::jsonb, price_minor, currency,
    attributes::jsonb, version
FROM {variant_rows}
