//! Tables beside what an operator made, and what a service's role needs.

use std::num::NonZeroUsize;

use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use stockade_catalog_core::{
    CatalogStore, Expected, ProductContent, ProductId, ProductKey, ProductQuery, ProductType,
    ProductTypeName, ProductWrite, Slug, Variant,
};
use stockade_inventory_core::Sku;
use stockade_postgres::{PostgresCapture, PostgresCatalog, PostgresFeed};
use stockade_testkit::Harness;

use super::conformance::Postgres;
use crate::harness::{OwnDatabase, documented_grants, pool_as, url};

async fn run(pool: &PgPool, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
    sql.execute(pool).await.unwrap();
}

/// Migrates beside a publication of the name that the migration would give its own, and tells
/// what is published then, and what a capture finds missing.
async fn beside(publication: &str) -> Option<(bool, Vec<String>, Vec<String>)> {
    let server = url().ok()?;
    let database = OwnDatabase::create(&server).await;
    let pool = database.pool().await;
    run(&pool, "CREATE TABLE orders (id INT PRIMARY KEY)").await;
    run(&pool, publication).await;
    let catalog = PostgresCatalog::new(pool.clone());
    catalog.migrate().await.unwrap();
    let all = sqlx::query_scalar("SELECT puballtables FROM pg_publication");
    let all: bool = all.fetch_one(&pool).await.unwrap();
    let tables = "SELECT tablename::text FROM pg_publication_tables ORDER BY 1";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&pool).await.unwrap();
    let feed = PostgresFeed::new(pool);
    let capture = PostgresCapture::of_catalog(feed, &catalog).unwrap();
    let problems = capture.problems().await.unwrap();
    Some((all, tables, problems))
}

#[tokio::test]
async fn a_publication_of_all_tables_stays_as_it_was() {
    let made = "CREATE PUBLICATION catalog_changes FOR ALL TABLES";
    let Some((all, tables, problems)) = beside(made).await else {
        return;
    };
    assert!(all);
    for table in ["orders", "products", "variants"] {
        assert!(tables.iter().any(|name| name == table), "{tables:?}");
    }
    assert!(problems.is_empty(), "{problems:?}");
}

#[tokio::test]
async fn a_publication_of_other_tables_stays_as_it_was_and_is_told() {
    let made = "CREATE PUBLICATION catalog_changes FOR TABLE orders";
    let Some((all, tables, problems)) = beside(made).await else {
        return;
    };
    assert_eq!((all, tables), (false, vec!["orders".to_owned()]));
    let told = [r#""catalog"."products""#, r#""catalog"."variants""#].map(|table| {
        format!("{table} is not published: ALTER PUBLICATION catalog_changes ADD TABLE {table}")
    });
    assert_eq!(problems, told);
}

#[tokio::test]
async fn the_documented_rights_are_enough() {
    let Ok(h) = Postgres::open().await else {
        return;
    };
    let schema = h.store.schema();
    let role = format!("{schema}_role");
    run(&h.pool, &format!("CREATE ROLE {role}")).await;
    run(&h.pool, &documented_grants("catalog", schema, &role)).await;
    let pool = pool_as(&url().unwrap(), &role).await;
    let catalog = PostgresCatalog::new(pool.clone()).with_schema(schema.clone());
    let shirts = ProductTypeName::new("shirt").unwrap();
    for _ in 0..2 {
        let permissive = ProductType::permissive(shirts.clone());
        catalog.put_type(&permissive).await.unwrap();
    }
    let (id, slug) = (
        ProductId::new("shirt").unwrap(),
        Slug::new("shirt").unwrap(),
    );
    let mut content = ProductContent::new(id.clone(), slug, "Shirt", shirts);
    let attributes = json!({"fit": "slim"});
    content.attributes = attributes.as_object().unwrap().clone();
    for sizes in [vec!["s", "m"], vec!["m", "l"], vec![]] {
        let sku = |size| Sku::new(format!("shirt-{size}")).unwrap();
        content.variants = sizes
            .into_iter()
            .map(|size| Variant::new(sku(size)))
            .collect();
        let write = ProductWrite {
            content: content.clone(),
            expected: Expected::Any,
        };
        catalog.put(&[write]).await.unwrap().remove(0).unwrap();
    }
    let found = catalog.get(&[ProductKey::Id(id.clone())]).await.unwrap();
    assert!(found[0].is_some());
    let query = ProductQuery {
        attributes: content.attributes.clone(),
        ..ProductQuery::first(NonZeroUsize::new(10).unwrap())
    };
    assert_eq!(catalog.find(&query).await.unwrap().len(), 1);
    catalog.all_types().await.unwrap();
    catalog.delete(&id, Expected::Any).await.unwrap();
    for never in ["skus", "product_ids", "product_types"] {
        let delete = format!("DELETE FROM {schema}.{never}");
        let deleted = sqlx::raw_sql(AssertSqlSafe(delete)).execute(&pool).await;
        assert!(deleted.is_err(), "nothing of {never} is ever deleted");
    }
    run(&h.pool, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
