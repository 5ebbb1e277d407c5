UPDATE {schema}.variants AS v
SET position = w.position, name = w.name, options = w.options::jsonb,
    price_minor = w.price_minor, currency = w.currency, attributes = w.attributes::jsonb,
    version = w.version
FROM {variant_rows}
WHERE v.sku = w.sku
