//! From the catalogue to search, end to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{
    Catalog, Expected, ProductContent, ProductId, ProductType, ProductTypeName, ProductWrite, Slug,
    Variant,
};
use stockade_change_feed::{Consumer, DeadLetters, Group, Topic};
use stockade_inventory_core::Sku;
use stockade_postgres::{PostgresCapture, PostgresCatalog, PostgresFeed};
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{Generation, IndexWriter, Ingest, Projection, SearchIndex, SearchQuery};
use tokio::task::JoinSet;

use crate::harness::{OwnDatabase, url};

fn tee() -> ProductContent {
    let mut tee = ProductContent::new(
        ProductId::new("tee").unwrap(),
        Slug::new("a-tee").unwrap(),
        "Meadow Tee",
        ProductTypeName::new("shirt").unwrap(),
    );
    tee.attributes = json!({"material": "linen"}).as_object().unwrap().clone();
    tee.variants = vec![Variant::new(Sku::new("tee-m").unwrap())];
    tee
}

fn anyway(content: ProductContent) -> ProductWrite {
    let expected = Expected::Any;
    ProductWrite { content, expected }
}

async fn until_found(index: &MemoryIndex, text: &str, hits: usize) {
    let started = Instant::now();
    loop {
        let query = SearchQuery::text(text);
        let found = index.search(&query).await.unwrap();
        if found.hits.len() == hits {
            return;
        }
        let waited = started.elapsed();
        assert!(
            waited < Duration::from_secs(20),
            "{text:?} finds {} hits",
            found.hits.len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn search_follows_the_catalogue_through_the_slot() {
    let server = match url() {
        Ok(server) => server,
        Err(absent) => {
            assert!(
                std::env::var_os("STOCKADE_REQUIRE_POSTGRES").is_none(),
                "{absent}"
            );
            eprintln!("SKIPPED: {absent}");
            return;
        }
    };
    let database = OwnDatabase::create(&server).await;
    let pool = database.pool().await;
    let store = Arc::new(PostgresCatalog::new(pool.clone()));
    store.migrate().await.unwrap();
    let catalog = Catalog::new(store.clone());
    let shirts = ProductType::permissive(ProductTypeName::new("shirt").unwrap());
    catalog.put_type(shirts).await.unwrap();
    // Before there is a slot.
    let mut content = tee();
    catalog.put(anyway(content.clone())).await.unwrap();

    let feed = PostgresFeed::new(pool);
    feed.migrate().await.unwrap();
    let capture = PostgresCapture::of_catalog(feed.clone(), &store).unwrap();
    let capture = capture.with_slot(database.name.as_str()).unwrap();
    let index = Arc::new(MemoryIndex::new());
    let generation = Generation::new("products-1").unwrap();
    let projection = Projection::catalog();
    index.create(&generation, &projection).await.unwrap();
    index.activate(&generation).await.unwrap();
    let ingest = Ingest::new(index.clone(), generation, projection).unwrap();
    let feed = Arc::new(feed);
    let group = Group::new("search").unwrap();
    let dead = Topic::new("search.dead-letters").unwrap();
    let consumer = Consumer::new(
        feed.clone(),
        group,
        vec![catalog_changes()],
        Arc::new(ingest),
    )
    .with_dead_letters(DeadLetters::new(feed, dead));
    let mut workers = JoinSet::new();
    workers.spawn(capture.run(std::future::pending()));
    workers.spawn(async move { consumer.run(std::future::pending()).await.unwrap() });

    until_found(&index, "meadow", 1).await;
    content.title = "Prairie Tee".to_owned();
    catalog.put(anyway(content)).await.unwrap();
    until_found(&index, "prairie", 1).await;
    until_found(&index, "meadow", 0).await;
    catalog.delete(&tee().id, Expected::Any).await.unwrap();
    until_found(&index, "prairie", 0).await;
    workers.shutdown().await;
}
