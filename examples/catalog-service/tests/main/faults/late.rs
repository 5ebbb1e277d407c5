//! Processes that hang and go on: what they have in hand comes too late.

use std::time::{Duration, Instant};

use service_kit::testing::{PATIENCE, Process, eventually, within};
use sqlx::{Connection as _, PgConnection};
use stack::{KafkaTool, Proxy};

use super::ASSIGNED;
use crate::site::{
    REFILLED, Site, VARIANTS, counted, from_cache, lamps, receive, reserve, shows, sku, units,
};
use crate::topic::StockTopic;

/// A gap makes pages turn to inventory until the cache is filled.
const GAPS: &str = "stockade_availability_gaps_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hangs_beyond_its_session_takes_nothing_back() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let api = site.catalog("api", &[]);
    let proxy = Proxy::start(site.redis.address()).await.unwrap();
    let through_proxy = site.redis.url_at(proxy.address());
    let hanging = site.catalog_over(&through_proxy, "availability", &[]);
    lamps(&api, &inventory).await;
    from_cache(&api, &[1, 2, 3]).await;
    let (refilled, gaps) = (
        counted(&hanging, REFILLED).await,
        counted(&hanging, GAPS).await,
    );
    let assigned = counted(&hanging, ASSIGNED).await;

    // The first sale is on its way to Redis when the worker begins to hang.
    proxy.hold_request(sku(3));
    reserve(&inventory, 3).await;
    let held = tokio::time::timeout(PATIENCE, proxy.held()).await;
    held.expect("the worker writes the sale");
    hanging.pause();
    let other = site.catalog("availability", &[]);
    reserve(&inventory, 3).await;
    for number in 4..VARIANTS {
        reserve(&inventory, number).await;
    }
    within(PATIENCE * 2, "the other worker has taken over", || async {
        shows(&api, "cache", &[1, 2, 1, 3]).await
    })
    .await;
    let before = committed(&site).await;

    // Its write arrives.
    proxy.clear();
    stays(&site, &api, &[1, 2, 1, 3]).await;
    // It goes on, and would commit what it has written.
    hanging.resume();
    eventually("the group refuses it", || async {
        hanging.log().contains("the group has given this member up")
    })
    .await;
    stays(&site, &api, &[1, 2, 1, 3]).await;
    let after = committed(&site).await;
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before <= after),
        "{after:?} after {before:?}"
    );

    // It is a member again, and nothing was lost.
    eventually("it has partitions again", || async {
        counted(&hanging, ASSIGNED).await > assigned
    })
    .await;
    for number in 1..VARIANTS {
        receive(&inventory, number, 10).await;
    }
    let expected = (1..VARIANTS as u64).map(|number| match number {
        1 | 2 => number + 10,
        3 => 11,
        number => number + 9,
    });
    eventually("the deliveries are seen", || async {
        shows(&api, "cache", &[11]).await && expected.clone().eq(units(&api).await)
    })
    .await;
    // By the events, and not by a fill that hides what was lost.
    for (name, before) in [(REFILLED, refilled), (GAPS, gaps)] {
        let by_both = counted(&hanging, name).await + counted(&other, name).await;
        assert_eq!(by_both, before, "{name}");
    }
    for process in [api, hanging, other, inventory] {
        process.stop();
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_record_of_a_relay_that_hung_takes_nothing_back() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory_as("api");
    let [hanging, other] = ["relay"; 2].map(|role| site.inventory_as(role));
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;

    // The relay begins to hang when it has read the first sale from the outbox.
    other.pause();
    hanging.pause();
    reserve(&inventory, 3).await;
    let mut locked = Locked::levels(&site).await;
    hanging.resume();
    locked.is_waited_for().await;
    hanging.pause();
    locked.release().await;
    other.resume();
    eventually("the first sale is seen", || async {
        shows(&catalog, "cache", &[1, 2, 2]).await
    })
    .await;
    reserve(&inventory, 3).await;
    eventually("the second sale is seen", || async {
        shows(&catalog, "cache", &[1, 2, 1]).await
    })
    .await;

    hanging.resume();
    let topic = StockTopic::of(&site).await;
    eventually("the first sale is the last record", || async {
        let changes = topic.changes(&sku(3)).await;
        changes.last().unwrap().units == 2
    })
    .await;
    topic.is_read().await;
    stays(&site, &catalog, &[1, 2, 1]).await;

    receive(&inventory, 3, 7).await;
    eventually("the next change is seen", || async {
        shows(&catalog, "cache", &[1, 2, 8]).await
    })
    .await;
    for process in [catalog, hanging, other, inventory] {
        process.stop();
    }
    site.close().await;
}

/// Looks for a second: the page has these units of the first variants all the time, and so has the
/// cache. A page whose reading of the cache takes too long is from inventory.
async fn stays(site: &Site, catalog: &Process, available: &[u64]) {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let units = units(catalog).await;
        assert!(units.starts_with(available), "{units:?}");
        for (number, units) in (1..).zip(available) {
            assert_eq!(site.cached_units(number), Some(*units), "{}", sku(number));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What the group has committed in each partition, as Kafka's own tool says.
async fn committed(site: &Site) -> Vec<u64> {
    let (kafka, group) = (site.kafka.clone(), site.name.clone());
    let rows = tokio::task::spawn_blocking(move || KafkaTool::describe_group(&kafka, &group));
    let mut rows = rows.await.unwrap().unwrap();
    rows.sort_by_key(|row| row["PARTITION"].clone());
    let offsets = rows
        .iter()
        .map(|row| row["CURRENT-OFFSET"].parse().unwrap());
    offsets.collect()
}

/// A lock that keeps everybody from reading levels of stock.
struct Locked(PgConnection);

impl Locked {
    async fn levels(site: &Site) -> Self {
        let url = site.database_url("inventory");
        let mut connection = PgConnection::connect(&url).await.unwrap();
        let lock = "BEGIN; LOCK TABLE inventory.levels IN ACCESS EXCLUSIVE MODE";
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        Self(connection)
    }

    async fn is_waited_for(&mut self) {
        let began = Instant::now();
        let waiting = "SELECT count(*) FROM pg_locks \
            WHERE relation = 'inventory.levels'::regclass AND NOT granted";
        while sqlx::query_scalar::<_, i64>(waiting)
            .fetch_one(&mut self.0)
            .await
            .unwrap()
            == 0
        {
            assert!(began.elapsed() < PATIENCE, "nobody waits");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn release(self) {
        self.0.close().await.unwrap();
    }
}
