//! From the catalogue to search, end to end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::PgPool;
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{
    Catalog, Expected, ProductContent, ProductId, ProductType, ProductTypeName, ProductWrite, Slug,
    Variant,
};
use stockade_change_feed::{
    Consumer, DeadLetters, Feed, Group, OnLostOffset, SubscribeOptions, Topic,
};
use stockade_inventory_core::Sku;
use stockade_postgres::{PostgresCapture, PostgresCatalog, PostgresFeed};
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{Generation, IndexWriter, Ingest, Projection, SearchIndex, SearchQuery};
use tokio::task::JoinSet;

use super::host::skip;
use crate::harness::{OwnDatabase, url};

const DEAD_LETTERS: &str = "search.dead-letters";

fn product(id: &str, title: &str) -> ProductContent {
    let mut product = ProductContent::new(
        ProductId::new(id).unwrap(),
        Slug::new(format!("the-{id}")).unwrap(),
        title,
        ProductTypeName::new("shirt").unwrap(),
    );
    product.attributes = json!({"material": "linen"}).as_object().unwrap().clone();
    product.variants = vec![Variant::new(Sku::new(format!("{id}-m")).unwrap())];
    product
}

/// A catalogue whose changes are captured, and an index that follows.
struct Shop {
    catalog: Catalog,
    capture: PostgresCapture,
    feed: PostgresFeed,
    index: Arc<MemoryIndex>,
    pool: PgPool,
    _database: OwnDatabase,
}

impl Shop {
    async fn open() -> Option<Self> {
        let server = match url() {
            Ok(server) => server,
            Err(absent) => return skip(&absent),
        };
        let database = OwnDatabase::create(&server).await;
        let pool = database.pool().await;
        let store = Arc::new(PostgresCatalog::new(pool.clone()));
        store.migrate().await.unwrap();
        let catalog = Catalog::new(store.clone());
        let shirts = ProductType::permissive(ProductTypeName::new("shirt").unwrap());
        catalog.put_type(shirts).await.unwrap();
        let feed = PostgresFeed::new(pool.clone()).with_session_timeout(Duration::from_secs(2));
        feed.migrate().await.unwrap();
        let capture = PostgresCapture::of_catalog(feed.clone(), &store).unwrap();
        let capture = capture.with_slot(database.name.as_str()).unwrap();
        let index = Arc::new(MemoryIndex::new());
        let (generation, projection) = (generation(), Projection::catalog());
        index.create(&generation, &projection).await.unwrap();
        index.activate(&generation).await.unwrap();
        Some(Self {
            catalog,
            capture,
            feed,
            index,
            pool,
            _database: database,
        })
    }

    async fn put(&self, id: &str, title: &str) {
        let expected = Expected::Any;
        let content = product(id, title);
        let write = ProductWrite { content, expected };
        self.catalog.put(write).await.unwrap();
    }

    async fn delete(&self, id: &str) {
        let id = ProductId::new(id).unwrap();
        self.catalog.delete(&id, Expected::Any).await.unwrap();
    }

    /// Captures, and keeps the index up to date, until it is dropped.
    fn work(&self) -> JoinSet<()> {
        let ingest = Ingest::new(self.index.clone(), generation(), Projection::catalog()).unwrap();
        let feed = Arc::new(self.feed.clone());
        let dead = Topic::new(DEAD_LETTERS).unwrap();
        let options = SubscribeOptions {
            on_lost_offset: OnLostOffset::Earliest,
            ..SubscribeOptions::default()
        };
        let consumer = Consumer::new(
            feed.clone(),
            Group::new("search").unwrap(),
            vec![catalog_changes()],
            Arc::new(ingest),
        )
        .with_options(options)
        .with_heartbeat(Duration::from_millis(500))
        .with_dead_letters(DeadLetters::new(feed, dead));
        let mut workers = JoinSet::new();
        workers.spawn(self.capture.clone().run(std::future::pending()));
        workers.spawn(async move { consumer.run(std::future::pending()).await.unwrap() });
        workers
    }

    /// Once who captured has let go of it.
    async fn lose_slot(&self) {
        let lose = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
            WHERE database = current_database() AND NOT active";
        while sqlx::query(lose)
            .fetch_all(&self.pool)
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_found(&self, text: &str, hits: usize) {
        let started = Instant::now();
        loop {
            let query = SearchQuery::text(text);
            let found = self.index.search(&query).await.unwrap();
            if found.hits.len() == hits {
                return;
            }
            let waited = started.elapsed();
            assert!(
                waited < Duration::from_secs(30),
                "{text:?} finds {} hits",
                found.hits.len()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn generation() -> Generation {
    Generation::new("products-1").unwrap()
}

/// A colleague empties the catalogue with SQL, and fills it again.
#[tokio::test]
async fn a_truncated_catalogue_leaves_an_empty_index() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    let _working = shop.work();
    for (truncate, left) in [
        ("TRUNCATE catalog.products CASCADE", 0),
        ("TRUNCATE catalog.variants, catalog.products", 0),
        ("TRUNCATE catalog.variants", 3),
    ] {
        for id in ["one", "two", "three"] {
            shop.put(id, "Striped").await;
        }
        shop.until_found("striped", 3).await;
        shop.until_found("one-m", 1).await;
        sqlx::raw_sql(truncate).execute(&shop.pool).await.unwrap();
        // What was committed later is heard of later.
        shop.put("mark", truncate).await;
        shop.until_found(truncate, 1).await;
        shop.until_found("striped", left).await;
        shop.until_found("one-m", 0).await;
    }
    let nobody = Group::new("nobody").unwrap();
    let dead = [Topic::new(DEAD_LETTERS).unwrap()];
    let dead = shop.feed.lag(&nobody, &dead).await.unwrap();
    assert!(dead.iter().all(|of| of.records == Some(0)), "{dead:?}");
}

#[tokio::test]
async fn search_follows_the_catalogue_through_the_slot() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    // Before there is a slot.
    shop.put("tee", "Meadow Tee").await;
    let mut workers = shop.work();
    shop.until_found("meadow", 1).await;
    shop.put("tee", "Prairie Tee").await;
    shop.until_found("prairie", 1).await;
    shop.until_found("meadow", 0).await;
    shop.delete("tee").await;
    shop.until_found("prairie", 0).await;
    workers.shutdown().await;
}

#[tokio::test]
async fn search_goes_on_after_the_slot_was_lost() {
    let Some(shop) = Shop::open().await else {
        return;
    };
    for (id, title) in [("kept", "Meadow"), ("changed", "Heath"), ("gone", "Moor")] {
        shop.put(id, title).await;
    }
    let mut workers = shop.work();
    for title in ["meadow", "heath", "moor"] {
        shop.until_found(title, 1).await;
    }
    // So that something is committed, and can be lost.
    shop.put("kept", "Prairie").await;
    shop.until_found("prairie", 1).await;
    workers.shutdown().await;

    shop.lose_slot().await;
    shop.put("changed", "Fen").await;
    shop.put("new", "Marsh").await;
    shop.delete("gone").await;
    let mut workers = shop.work();
    shop.until_found("fen", 1).await;
    shop.until_found("heath", 0).await;
    shop.until_found("marsh", 1).await;
    shop.until_found("prairie", 1).await;
    // That it was deleted was told by the slot alone: a sweep or a rebuild finds it.
    shop.until_found("moor", 1).await;
    // New changes flow.
    shop.put("kept", "Steppe").await;
    shop.until_found("steppe", 1).await;
    shop.put("gone", "Tundra").await;
    shop.delete("gone").await;
    shop.until_found("moor", 0).await;
    shop.until_found("tundra", 0).await;
    workers.shutdown().await;
}
