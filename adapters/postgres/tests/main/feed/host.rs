//! A table of a host's, its log and its capture, in a database of their own; and short words for
//! what cases do with them.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stack::Proxy;
use stockade_change_feed::debezium::{self, Change, RowChange};
use stockade_change_feed::{
    Feed, FeedError, Group, OnLostOffset, PollLimits, Polled, SubscribeOptions, Subscription, Topic,
};
use stockade_postgres::{CapturedTable, PostgresCapture, PostgresFeed};
use stockade_testkit::Absent;
use tokio::sync::{Mutex, MutexGuard};

use crate::harness::{OwnDatabase, url};

/// A table of a host's, its log and its capture.
pub(super) struct Host {
    pub(super) pool: PgPool,
    pub(super) feed: PostgresFeed,
    pub(super) capture: PostgresCapture,
    pub(super) slot: String,
    _database: Option<OwnDatabase>,
}

pub(super) fn topic() -> Topic {
    Topic::new("tees").unwrap()
}

const TABLES: &str = "CREATE TABLE tees (id INT PRIMARY KEY, parent INT, title TEXT, made TIMESTAMPTZ); \
    CREATE TABLE others (id INT PRIMARY KEY); \
    ALTER TABLE tees REPLICA IDENTITY FULL; \
    CREATE PUBLICATION tees_changes FOR TABLE tees, others";

impl Host {
    pub(super) async fn open() -> Option<Self> {
        let server = match url() {
            Ok(server) => server,
            Err(absent) => return skip(&absent),
        };
        let database = OwnDatabase::create(&server).await;
        let (pool, slot) = (database.pool().await, database.name.clone());
        let mut host = Self::over(pool, &slot).await;
        host._database = Some(database);
        Some(host)
    }

    pub(super) async fn over(pool: PgPool, slot: &str) -> Self {
        sqlx::raw_sql(TABLES).execute(&pool).await.unwrap();
        let feed = feed_over(pool.clone());
        feed.migrate().await.unwrap();
        Self {
            capture: capture_of(feed.clone(), slot),
            pool,
            feed,
            slot: slot.to_owned(),
            _database: None,
        }
    }

    /// The same capture by connections of its own, through a proxy.
    pub(super) async fn through_proxy(&self) -> (Proxy, PostgresCapture) {
        let options = (*self.pool.connect_options()).clone();
        let server = (options.get_host().to_owned(), options.get_port());
        let mut addresses = tokio::net::lookup_host(server).await.unwrap();
        let proxy = Proxy::start(addresses.next().unwrap()).await.unwrap();
        let address = proxy.address();
        let options = options.host(&address.ip().to_string()).port(address.port());
        let pool = PgPoolOptions::new().connect_lazy_with(options);
        (proxy, capture_of(feed_over(pool), &self.slot))
    }

    /// A pool of a single connection to the same database.
    pub(super) fn narrow_pool(&self) -> PgPool {
        let options = (*self.pool.connect_options()).clone();
        PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(options)
    }

    /// Waits until somebody waits for a lock.
    pub(super) async fn until_blocked(&self) {
        let blocked = "SELECT EXISTS (SELECT FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock')";
        let waiting = async {
            while !sqlx::query_scalar::<_, bool>(blocked)
                .fetch_one(&self.pool)
                .await
                .unwrap()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        waited.expect("nobody waits for a lock");
    }

    pub(super) async fn sql(&self, sql: &str) {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }

    /// Captures all there is.
    pub(super) async fn capture(&self) {
        let quiet = async {
            let mut quiet = 0;
            while quiet < 2 {
                let captured = self.capture.run_once().await.unwrap();
                quiet = if captured { 0 } else { quiet + 1 };
            }
        };
        tokio::time::timeout(Duration::from_secs(240), quiet)
            .await
            .unwrap();
    }

    pub(super) async fn reader(
        &self,
        group: &str,
        on_lost_offset: OnLostOffset,
    ) -> Box<dyn Subscription> {
        let options = SubscribeOptions {
            on_lost_offset,
            ..SubscribeOptions::default()
        };
        let group = Group::new(group).unwrap();
        self.feed
            .subscribe(&group, &[topic()], options)
            .await
            .unwrap()
    }
}

pub(super) fn feed_over(pool: PgPool) -> PostgresFeed {
    PostgresFeed::new(pool).with_partitions(1)
}

pub(super) fn capture_of(feed: PostgresFeed, slot: &str) -> PostgresCapture {
    let tables = vec![CapturedTable::new("public", "tees", topic(), ["parent"])];
    PostgresCapture::new(feed, slot, "tees_changes", tables).unwrap()
}

/// Tells that there is no server, as the suites do.
pub(super) fn skip<T>(absent: &Absent) -> Option<T> {
    let required = std::env::var_os("STOCKADE_REQUIRE_POSTGRES").is_some();
    assert!(!required, "STOCKADE_REQUIRE_POSTGRES is set: {absent}");
    eprintln!("SKIPPED: {absent}");
    None
}

pub(super) async fn poll(reader: &mut dyn Subscription) -> Result<Polled, FeedError> {
    let limits = PollLimits {
        wait: Duration::from_millis(100),
        ..PollLimits::default()
    };
    reader.poll(&limits).await
}

/// The changes that are there, and the keys of their records.
pub(super) async fn told(reader: &mut dyn Subscription) -> Vec<(String, RowChange)> {
    let mut all = Vec::new();
    loop {
        let polled = poll(reader).await.unwrap();
        if polled.records.is_empty() && polled.gained.is_empty() {
            return all;
        }
        for record in polled.records {
            let key = String::from_utf8_lossy(record.key.as_deref().unwrap_or_default());
            let change = debezium::decode(record.value.as_ref()).unwrap().unwrap();
            all.push((key.into_owned(), change));
        }
    }
}

pub(super) fn ids(told: &[(String, RowChange)]) -> Vec<i64> {
    let after = told.iter().filter_map(|(_, told)| match &told.change {
        Change::Create { after } | Change::Read { after } => after["id"].as_i64(),
        _ => None,
    });
    after.collect()
}

/// The memory of this process, in bytes, while no other case measures it.
pub(super) struct Memory(#[expect(dead_code, reason = "held")] MutexGuard<'static, ()>);

impl Memory {
    pub(super) async fn alone() -> Self {
        static ALONE: Mutex<()> = Mutex::const_new(());
        Self(ALONE.lock().await)
    }

    /// What it has now. From here on the most is found anew; other cases run in it as well.
    pub(super) fn peak_from_here(&self) -> u64 {
        std::fs::write("/proc/self/clear_refs", "5").unwrap();
        self.peak()
    }

    /// The most that it has had.
    pub(super) fn peak(&self) -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() << 10
    }
}
