//! The statements, over the tables of one schema.

use sqlx::SqlStr;

use crate::names::Schema;

/// A product with its variants, as [`rows`](super::rows) reads it.
const PRODUCT: &str = "p.product_id, p.slug, p.title, p.description, p.brand, p.category, \
    p.product_type, p.status, p.media, p.attributes, p.version, ( \
        SELECT coalesce(json_agg(json_build_array( \
            v.sku, v.name, v.options, v.price_minor, v.currency, v.attributes \
        ) ORDER BY v.position), '[]') \
        FROM {schema}.variants AS v WHERE v.product_id = p.product_id \
    ) AS variants";

/// Rows to write, as [`write`](super::write) binds them.
const PRODUCT_ROWS: &str = "unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], \
    $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[]) AS w (product_id, \
    slug, title, description, brand, category, product_type, status, media, attributes, version)";
const VARIANT_ROWS: &str = "unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], \
    $6::bigint[], $7::text[], $8::text[], $9::bigint[]) AS w (sku, product_id, position, name, \
    options, price_minor, currency, attributes, version)";

/// The statements. Each connection prepares each of them once.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) get: SqlStr,
    pub(super) get_ids: SqlStr,
    pub(super) get_slugs: SqlStr,
    pub(super) get_skus: SqlStr,
    pub(super) list: SqlStr,
    pub(super) list_type: SqlStr,
    pub(super) find: SqlStr,
    pub(super) register: SqlStr,
    pub(super) lock: SqlStr,
    pub(super) neighbours: SqlStr,
    pub(super) versions: SqlStr,
    pub(super) claim_skus: SqlStr,
    pub(super) insert_products: SqlStr,
    pub(super) update_products: SqlStr,
    pub(super) insert_variants: SqlStr,
    pub(super) update_variants: SqlStr,
    pub(super) delete_variants: SqlStr,
    pub(super) delete_variants_of: SqlStr,
    pub(super) delete_product: SqlStr,
    pub(super) put_type: SqlStr,
    pub(super) get_types: SqlStr,
    pub(super) all_types: SqlStr,
}

impl Statements {
    pub(super) fn new(schema: &Schema) -> Self {
        let sql = |template: &str| {
            let whole = template
                .replace("{product}", PRODUCT)
                .replace("{product_rows}", PRODUCT_ROWS)
                .replace("{variant_rows}", VARIANT_ROWS);
            schema.sql(&whole)
        };
        Self {
            get: sql(include_str!("sql/get.sql")),
            get_ids: sql(include_str!("sql/get_ids.sql")),
            get_slugs: sql(include_str!("sql/get_slugs.sql")),
            get_skus: sql(include_str!("sql/get_skus.sql")),
            list: sql(include_str!("sql/list.sql")),
            list_type: sql(include_str!("sql/list_type.sql")),
            find: sql(include_str!("sql/find.sql")),
            register: sql(include_str!("sql/register.sql")),
            lock: sql(include_str!("sql/lock.sql")),
            neighbours: sql(include_str!("sql/neighbours.sql")),
            versions: sql(include_str!("sql/versions.sql")),
            claim_skus: sql(include_str!("sql/claim_skus.sql")),
            insert_products: sql(include_str!("sql/insert_products.sql")),
            update_products: sql(include_str!("sql/update_products.sql")),
            insert_variants: sql(include_str!("sql/insert_variants.sql")),
            update_variants: sql(include_str!("sql/update_variants.sql")),
            delete_variants: sql(include_str!("sql/delete_variants.sql")),
            delete_variants_of: sql(include_str!("sql/delete_variants_of.sql")),
            delete_product: sql(include_str!("sql/delete_product.sql")),
            put_type: sql(include_str!("sql/put_type.sql")),
            get_types: sql(include_str!("sql/get_types.sql")),
            all_types: sql(include_str!("sql/all_types.sql")),
        }
    }
}
