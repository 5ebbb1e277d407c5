//! Which way the planner goes, at a size where it matters; and how long many writes take.

use std::num::NonZeroUsize;
use std::time::Instant;

use serde_json::{Value, json};
use stockade_catalog_core::{
    CatalogStore, Expected, ProductContent, ProductId, ProductKey, ProductQuery, ProductType,
    ProductTypeName, ProductWrite, Slug, Variant,
};
use stockade_inventory_core::Sku;
use stockade_testkit::Harness;

use super::conformance::Postgres;

/// Runs on what the server is set to, or skips as the suites do.
async fn open() -> Option<Postgres> {
    match Postgres::open().await {
        Ok(postgres) => Some(postgres),
        Err(absent) if std::env::var_os("STOCKADE_REQUIRE_POSTGRES").is_none() => {
            eprintln!("SKIPPED: {absent}");
            None
        }
        Err(absent) => panic!("STOCKADE_REQUIRE_POSTGRES is set: {absent}"),
    }
}

fn shirt(number: usize) -> ProductContent {
    let id = format!("shirt-{number:06}");
    let mut content = ProductContent::new(
        ProductId::new(&id).unwrap(),
        Slug::new(&id).unwrap(),
        format!("Shirt {number}"),
        ProductTypeName::new("shirt").unwrap(),
    );
    let attributes = json!({
        "serial": number,
        "fit": if number.is_multiple_of(2) { "slim" } else { "wide" },
        "material": ["cotton", format!("dye-{}", number % 500)],
    });
    content.attributes = attributes.as_object().unwrap().clone();
    let sizes = ["s", "m"].map(|size| Variant::new(Sku::new(format!("{id}-{size}")).unwrap()));
    content.variants = sizes.into();
    content
}

async fn put_type(postgres: &Postgres) {
    let shirts = ProductType::permissive(ProductTypeName::new("shirt").unwrap());
    postgres.store.put_type(&shirts).await.unwrap();
}

/// The rows straight into the tables: what is tested is how they are found.
async fn fill(postgres: &Postgres, products: i32) {
    put_type(postgres).await;
    let schema = postgres.store.schema();
    let sql = format!(
        "INSERT INTO {schema}.products SELECT p, p, 'Shirt', '', NULL, '[]', 'shirt', 'active', \
             '[]', jsonb_build_object('serial', n, 'fit', CASE n % 2 WHEN 0 THEN 'slim' ELSE 'wide' \
             END, 'material', jsonb_build_array('cotton', 'dye-' || n % 500)), n \
         FROM generate_series(1, {products}) AS n, lpad(n::text, 6, '0') AS p; \
         ANALYZE {schema}.products"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&postgres.pool)
        .await
        .unwrap();
}

fn query(attributes: &Value) -> ProductQuery {
    ProductQuery {
        attributes: attributes.as_object().unwrap().clone(),
        ..ProductQuery::first(NonZeroUsize::new(50).unwrap())
    }
}

#[tokio::test]
async fn attributes_are_found_by_their_index() {
    let Some(postgres) = open().await else { return };
    fill(&postgres, 50_000).await;
    for attributes in [
        json!({"serial": 49_999}),
        json!({"serial": -1}),
        json!({"material": ["dye-7"]}),
        json!({"fit": "slim", "material": ["dye-8", "cotton"]}),
        json!({"nothing": {"like": "it"}}),
    ] {
        for of_type in [None, Some("shirt")] {
            let mut query = query(&attributes);
            query.product_type = of_type.map(|name| ProductTypeName::new(name).unwrap());
            let plan = postgres.store.explain_find(&query).await.unwrap();
            assert!(
                plan.contains("Bitmap Index Scan on products_attributes_idx"),
                "{attributes} of {of_type:?}:\n{plan}"
            );
            assert!(
                !plan.contains("Seq Scan on products"),
                "{attributes}:\n{plan}"
            );
        }
    }
    // The statement itself, and not only its plan.
    let found = postgres
        .store
        .find(&query(&json!({"serial": 49_999})))
        .await
        .unwrap();
    assert_eq!(found[0].content.id.as_str(), "049999");
    assert_eq!(found.len(), 1);
}

#[tokio::test]
async fn pages_and_keys_are_found_by_their_indexes() {
    let Some(postgres) = open().await else { return };
    fill(&postgres, 50_000).await;
    for of_type in [None, Some("shirt")] {
        let mut all = ProductQuery::first(NonZeroUsize::new(50).unwrap());
        all.product_type = of_type.map(|name| ProductTypeName::new(name).unwrap());
        let plan = postgres.store.explain_find(&all).await.unwrap();
        assert!(
            !plan.contains("Seq Scan on products"),
            "{of_type:?}:\n{plan}"
        );
    }
    let key = [ProductKey::Slug(Slug::new("000017").unwrap())];
    let found = postgres.store.get(&key).await.unwrap();
    assert_eq!(found[0].as_ref().map(|product| product.version), Some(17));
}

#[tokio::test]
async fn ten_thousand_products_are_written_together() {
    let Some(postgres) = open().await else { return };
    put_type(&postgres).await;
    let write = |content| ProductWrite {
        content,
        expected: Expected::Any,
    };
    // One by one, as the measure.
    let started = Instant::now();
    for number in 0..100 {
        let outcome = postgres
            .store
            .put(&[write(shirt(number))])
            .await
            .unwrap()
            .remove(0);
        assert!(outcome.is_ok(), "{outcome:?}");
    }
    let one = started.elapsed() / 100;
    let writes: Vec<ProductWrite> = (100..10_100).map(|number| write(shirt(number))).collect();
    let started = Instant::now();
    let outcomes = postgres.store.put(&writes).await.unwrap();
    let each = started.elapsed() / 10_000;
    assert!(outcomes.iter().all(Result::is_ok));
    eprintln!("one by one {one:?}, together {each:?}");
    assert!(each * 3 < one, "together {each:?} each, one by one {one:?}");
}

#[tokio::test]
async fn one_that_the_server_refuses_does_not_take_others_with_it() {
    let Some(postgres) = open().await else { return };
    put_type(&postgres).await;
    let mut refused = shirt(2);
    // Not to be held by JSONB; whoever goes by `Catalog` is told before.
    refused.attributes.insert("nul".to_owned(), json!("\0"));
    let writes = [shirt(1), refused, shirt(3)].map(|content| ProductWrite {
        content,
        expected: Expected::Any,
    });
    let outcomes = postgres.store.put(&writes).await.unwrap();
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, true], "{outcomes:?}");
}

#[tokio::test]
async fn floats_that_jsonb_gives_back_as_integers_are_the_same_content() {
    let Some(postgres) = open().await else { return };
    put_type(&postgres).await;
    let mut content = shirt(1);
    let odd = json!({"large": 1e16, "larger": 1e19, "whole": 1.0, "huge": 1.5e300, "zero": -0.0});
    content.attributes = odd.as_object().unwrap().clone();
    let write = [ProductWrite {
        content,
        expected: Expected::Any,
    }];
    let first = postgres
        .store
        .put(&write)
        .await
        .unwrap()
        .remove(0)
        .unwrap()
        .product;
    let again = postgres.store.put(&write).await.unwrap().remove(0).unwrap();
    assert_eq!(again.product, first, "a repeated write changes nothing");
    let key = [ProductKey::Id(first.content.id.clone())];
    assert_eq!(postgres.store.get(&key).await.unwrap(), [Some(first)]);
}

#[tokio::test]
async fn a_repeated_import_touches_no_row() {
    let Some(postgres) = open().await else { return };
    put_type(&postgres).await;
    let writes: Vec<ProductWrite> = (0..300)
        .map(|number| ProductWrite {
            content: shirt(number),
            expected: Expected::Any,
        })
        .collect();
    postgres.store.put(&writes).await.unwrap();
    let schema = postgres.store.schema();
    // Where a row is in its table, and who wrote it.
    let rows = format!(
        "SELECT ctid::text || xmin::text FROM {schema}.products \
         UNION ALL SELECT ctid::text || xmin::text FROM {schema}.variants \
         UNION ALL SELECT last_value::text FROM {schema}.versions ORDER BY 1"
    );
    let rows = || sqlx::query_scalar::<_, String>(sqlx::AssertSqlSafe(rows.clone()));
    let before = rows().fetch_all(&postgres.pool).await.unwrap();
    postgres.store.put(&writes).await.unwrap();
    let after = rows().fetch_all(&postgres.pool).await.unwrap();
    assert_eq!(before, after);
}
