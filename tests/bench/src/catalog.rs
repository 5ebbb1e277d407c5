//! Products in Postgres and the capture of their changes, beside bare statements over the same
//! pool in the same run.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor as _, PgPool};
use stack::Server as _;
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{
    CatalogStore, Currency, Expected, Money, ProductContent, ProductId, ProductKey, ProductQuery,
    ProductType, ProductTypeName, ProductWrite, Slug, Variant,
};
use stockade_change_feed::{Feed, Group, PollLimits, SubscribeOptions, Subscription};
use stockade_inventory_core::Sku;
use stockade_postgres::{PostgresCapture, PostgresCatalog, PostgresFeed};

use crate::Form;
use crate::measure::Latencies;

/// Most products that a query asks for.
const FIRST: NonZeroUsize = NonZeroUsize::new(50).unwrap();

/// How much to do.
struct Plan {
    products: usize,
    imported: usize,
    rounds: usize,
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let plan = match form {
        Form::Short => Plan {
            products: 2_000,
            imported: 200,
            rounds: 20,
        },
        Form::Full => Plan {
            products: 100_000,
            imported: 10_000,
            rounds: 2_000,
        },
    };
    // Of its own: a slot is of a whole server, and whatever else it does would be measured too.
    let server = tokio::task::spawn_blocking(stack::Postgres::start).await??;
    let url = server.url();
    let outcome = measure(&url, &plan).await;
    tokio::task::spawn_blocking(move || drop(server)).await?;
    outcome
}

async fn measure(url: &str, plan: &Plan) -> anyhow::Result<()> {
    let pool = PgPoolOptions::new()
        .max_connections(8)
        // Both sides take one round trip then.
        .test_before_acquire(false)
        .connect(url)
        .await?;
    let catalog = PostgresCatalog::new(pool.clone());
    catalog.migrate().await?;
    let shirts = ProductType::permissive(ProductTypeName::new("shirt")?);
    catalog.put_type(&shirts).await?;
    println!(
        "{:40} {:>10} {:>10} {:>10} {:>6}",
        "reading", "bare p50", "ours p50", "ours p99", "ratio"
    );
    pages(&pool, &catalog, plan).await?;
    attributes(&pool, &catalog, plan).await?;
    changes(&pool, &catalog, plan).await
}

fn shirt(name: &str, serial: usize, variants: usize) -> anyhow::Result<ProductContent> {
    let mut content = ProductContent::new(
        ProductId::new(name)?,
        Slug::new(name)?,
        format!("Shirt {serial}"),
        ProductTypeName::new("shirt")?,
    );
    content.description = "No word is too many. ".repeat(20);
    let attributes = json!({
        "serial": serial, "material": ["cotton", format!("dye-{}", serial % 500)],
        "care": {"wash": 30, "iron": true}, "fit": "slim", "sleeve": 12.5,
    });
    content.attributes = object(attributes);
    for number in 0..variants {
        let mut variant = Variant::new(Sku::new(format!("{name}-{number}"))?);
        variant.name = Some(format!("Size {number}"));
        variant.options = [("size".to_owned(), number.to_string())].into();
        variant.price = Some(Money {
            minor: 1_999,
            currency: Currency::new("EUR")?,
        });
        content.variants.push(variant);
    }
    Ok(content)
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => serde_json::Map::new(),
    }
}

async fn put(catalog: &PostgresCatalog, contents: Vec<ProductContent>) -> anyhow::Result<()> {
    let expected = Expected::Any;
    let writes = contents.into_iter();
    let writes: Vec<ProductWrite> = writes
        .map(|content| ProductWrite { content, expected })
        .collect();
    for outcome in catalog.put(&writes).await? {
        outcome?;
    }
    Ok(())
}

fn line(name: &str, bare: Vec<Duration>, ours: Vec<Duration>) {
    let (bare, ours) = (Latencies::new(bare), Latencies::new(ours));
    println!(
        "{name:40} {:>10.2?} {:>10.2?} {:>10.2?} {:>6.2}",
        bare.percentile(50),
        ours.percentile(50),
        ours.percentile(99),
        // Of the rate.
        1.0 / ours.ratio(&bare, 50),
    );
}

/// The page of a product with 25 variants.
async fn pages(pool: &PgPool, catalog: &PostgresCatalog, plan: &Plan) -> anyhow::Result<()> {
    put(catalog, vec![shirt("page", 0, 25)?]).await?;
    let keys = [ProductKey::Slug(Slug::new("page")?)];
    let bare = "SELECT p.*, v.* FROM catalog.products AS p \
        LEFT JOIN catalog.variants AS v USING (product_id) WHERE p.slug = $1 ORDER BY v.position";
    let (mut bares, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let started = Instant::now();
        let rows = sqlx::query(bare).bind("page").fetch_all(pool).await?;
        bares.push(started.elapsed());
        ensure!(rows.len() == 25);
        let started = Instant::now();
        let found = catalog.get(&keys).await?;
        ours.push(started.elapsed());
        let variants = found[0].as_ref().map(|page| page.content.variants.len());
        ensure!(variants == Some(25));
    }
    line("a page of 25 variants, to a join", bares, ours);
    Ok(())
}

/// Attributes among many products, to a sequential scan.
async fn attributes(pool: &PgPool, catalog: &PostgresCatalog, plan: &Plan) -> anyhow::Result<()> {
    let rows = format!(
        "INSERT INTO catalog.products SELECT p, p, 'Shirt', repeat('No word is too many. ', 20), \
             NULL, '[]', 'shirt', 'active', '[]', jsonb_build_object('serial', n, 'fit', 'slim', \
             'material', jsonb_build_array('cotton', 'dye-' || n % 500), 'sleeve', 12.5), n \
         FROM generate_series(1, {}) AS n, lpad(n::text, 8, '0') AS p; VACUUM ANALYZE",
        plan.products
    );
    for statement in rows.split("; ") {
        pool.execute(AssertSqlSafe(statement.to_owned())).await?;
    }
    let mut scanning = pool.acquire().await?;
    let settings = "SET enable_bitmapscan = off; SET enable_indexscan = off";
    scanning.execute(settings).await?;
    let bare = "SELECT product_id FROM catalog.products WHERE attributes @> $1::jsonb \
        ORDER BY product_id LIMIT 50";
    for (name, wanted) in [
        ("one of them", json!({"serial": 77})),
        ("one in 500", json!({"material": ["dye-77"]})),
        ("none", json!({"serial": -1})),
    ] {
        let query = ProductQuery {
            attributes: object(wanted.clone()),
            ..ProductQuery::first(FIRST)
        };
        let (mut bares, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds.min(50) {
            let started = Instant::now();
            let scan = sqlx::query(bare).bind(&wanted);
            let expected = scan.fetch_all(&mut *scanning).await?.len();
            bares.push(started.elapsed());
            let started = Instant::now();
            let found = catalog.find(&query).await?;
            ours.push(started.elapsed());
            ensure!(found.len() == expected.min(50));
        }
        line(
            &format!("{name} of {}, to a scan", plan.products),
            bares,
            ours,
        );
    }
    Ok(())
}

/// From a write to a reader.
async fn changes(pool: &PgPool, catalog: &PostgresCatalog, plan: &Plan) -> anyhow::Result<()> {
    pool.execute("DELETE FROM catalog.products WHERE product_id <> 'page'")
        .await?;
    let feed = PostgresFeed::new(pool.clone());
    feed.migrate().await?;
    let capture = PostgresCapture::of_catalog(feed.clone(), catalog)?;
    while capture.run_once().await? {}

    let contents = (0..plan.imported).map(|n| shirt(&format!("import-{n}"), n, 2));
    let contents: Vec<ProductContent> = contents.collect::<Result<_, _>>()?;
    let rows = contents.len() * 3;
    let started = Instant::now();
    put(catalog, contents).await?;
    let written = started.elapsed();

    let started = Instant::now();
    let peek = "SELECT count(*) FROM pg_logical_slot_peek_binary_changes('stockade_catalog', NULL, \
        NULL, 'proto_version', '1', 'publication_names', 'catalog_changes')";
    let peeked: i64 = sqlx::query_scalar(peek).fetch_one(pool).await?;
    let peek = started.elapsed();
    ensure!(peeked > i64::try_from(rows)?);
    let started = Instant::now();
    while capture.run_once().await? {}
    let captured = started.elapsed();

    let group = Group::new("bench")?;
    let options = SubscribeOptions::default();
    let mut reader = feed
        .subscribe(&group, &[catalog_changes()], options)
        .await?;
    let started = Instant::now();
    // And the page, from the snapshot.
    read(reader.as_mut(), rows + 26).await?;
    let read_all = started.elapsed();
    println!("\n{:40} {:>10} {:>12}", "changes", "took", "rows/s");
    for (name, took) in [
        ("written", written),
        ("decoded by the server alone", peek),
        ("captured into the log", captured),
        ("read and committed", read_all),
    ] {
        let rate = rows as f64 / took.as_secs_f64();
        println!(
            "{:40} {took:>10.2?} {rate:>12.0}",
            format!("{rows} rows {name}")
        );
    }
    latency(catalog, capture, reader.as_mut(), plan).await
}

async fn latency(
    catalog: &PostgresCatalog,
    capture: PostgresCapture,
    reader: &mut dyn Subscription,
    plan: &Plan,
) -> anyhow::Result<()> {
    let capturing = tokio::spawn(capture.run(std::future::pending()));
    let mut latencies = Vec::new();
    for number in 0..plan.rounds.min(200) {
        let content = shirt("late", number, 0)?;
        let started = Instant::now();
        put(catalog, vec![content]).await?;
        read(reader, 1).await?;
        latencies.push(started.elapsed());
    }
    capturing.abort();
    let latencies = Latencies::new(latencies);
    println!(
        "{:40} {:>10.2?} {:>10.2?}",
        "from a write to its reader, p50 and p99",
        latencies.percentile(50),
        latencies.percentile(99)
    );
    Ok(())
}

/// Reads so many records and commits them.
async fn read(reader: &mut dyn Subscription, records: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = 0;
    while seen < records {
        ensure!(
            Instant::now() < deadline,
            "{seen} of {records} records came"
        );
        let polled = reader.poll(&PollLimits::default()).await?;
        seen += polled.records.len();
        let last = polled.records.into_iter().map(|record| record.position);
        let last: std::collections::BTreeMap<_, _> = last
            .map(|position| (position.partition.clone(), position))
            .collect();
        let last: Vec<_> = last.into_values().collect();
        for outcome in reader.commit(&last).await? {
            outcome.context("committing")?;
        }
    }
    Ok(())
}
