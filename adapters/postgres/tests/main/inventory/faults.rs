//! When connections, servers and callers go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stack::{Proxy, Server as _};
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    Effect, Expiry, Inventory, InventoryStore, LocationId, StockChange, StockSource,
};
use stockade_postgres::{PostgresInventory, Timeouts};

use super::conformance::PostgresHarness;
use super::shop::{adjustment, host_with_a_tee, id, line, open, reserve, run, set, stock, wants};

#[tokio::test]
async fn calls_that_are_given_up_leave_the_pool_as_it_was() {
    let Some(h) = open().await else { return };
    // One connection only, which the next call gets.
    let pool = pool_of_one(&h.schema.url).await;
    let store = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    for of in ["cap", "tee"] {
        set(&store, of, 1_000).await;
    }
    let two = |n| wants(&format!("two-{n}"), [line("cap", 1), line("tee", 1)]);
    for n in 0..60 {
        let patience = Duration::from_micros(150 * n);
        let _ = tokio::time::timeout(patience, reserve(&store, &two(n))).await;
        let one = wants(&format!("one-{n}"), [line("cap", 1)]);
        reserve(&store, &one).await.unwrap();
        // What was answered is there for others: no open transaction was lent.
        h.store.reservation(&one.id).await.unwrap();
    }
    for n in 0..60 {
        reserve(&store, &two(n)).await.unwrap();
    }
    assert_eq!(stock(&h.store, "cap").await.reserved(), 120, "each once");
    assert_eq!(stock(&h.store, "tee").await.reserved(), 60, "each once");
    stockade_testkit::inventory::check_ledger(&store).await;
}

#[tokio::test]
async fn a_lock_that_is_not_given_is_not_waited_for_for_ever() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    let host = host_with_a_tee(&h).await;
    let timeouts = Timeouts::default().with_lock(Duration::from_millis(100));
    let store = h.store.clone().with_timeouts(timeouts);
    for request in [
        wants("one", [line("tee", 1)]),
        wants("two", [line("tee", 1), line("cap", 1)]),
    ] {
        let refused = reserve(&store, &request).await.unwrap_err();
        assert!(matches!(refused.retry(), Retry::After(_)), "{refused}");
        let told = refused.to_string();
        for word in ["reserve", "lock", "100ms", "pg_locks"] {
            assert!(told.contains(word), "{word}: {told}");
        }
    }
    host.rollback().await.unwrap();
    reserve(&store, &wants("one", [line("tee", 1)]))
        .await
        .unwrap();
    assert_eq!(stock(&h.store, "tee").await.reserved(), 1);
}

#[tokio::test]
async fn who_waits_at_one_location_holds_up_nobody_at_another() {
    let Some(h) = open().await else { return };
    let tee_at = |place| line("tee", 1).at(LocationId::new(place).unwrap());
    for place in ["north", "south"] {
        let set = adjustment(place, "tee", StockChange::Set(5));
        let set = set.at(LocationId::new(place).unwrap());
        h.store.adjust(&[set]).await.unwrap().remove(0).unwrap();
    }
    let mut host = h.pool.begin().await.unwrap();
    let lock = "SELECT FROM {schema}.levels WHERE location = 'north' FOR UPDATE";
    let lock = lock.replace("{schema}", h.schema.name.as_str());
    let lock = sqlx::raw_sql(sqlx::AssertSqlSafe(lock));
    lock.execute(&mut *host).await.unwrap();
    let waits = wants("waits", [tee_at("north")]);
    let waiting = reserve(&h.store, &waits);
    let passing = async {
        waited_for(&h).await;
        let south = reserve(&h.store, &wants("passes", [tee_at("south")])).await;
        host.commit().await.unwrap();
        south
    };
    let (waited, passed) = futures::join!(waiting, passing);
    passed.unwrap();
    waited.unwrap();
}

#[tokio::test]
async fn waiting_for_a_lock_does_not_count_towards_the_deadline() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    for changes in [false, true] {
        let mut host = h.pool.begin().await.unwrap();
        let within = h.store.within(&mut host);
        // A refusal locks the level and changes nothing.
        let units = if changes { 1 } else { 9 };
        let name = format!("host-{changes}");
        let _ = reserve(&within, &wants(&name, [line("tee", units)])).await;
        drop(within);
        let started = std::time::Instant::now();
        let request = wants(&format!("waits-{changes}"), [line("tee", 1)]);
        let waiting = reserve(&h.store, &request);
        let ending = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            host.commit().await.unwrap();
        };
        let (reserved, ()) = futures::join!(waiting, ending);
        assert!(started.elapsed() >= Duration::from_millis(800), "it waited");
        let id = reserved.unwrap().reservation.id;
        let sql = format!(
            "SELECT deadline > clock_timestamp() + interval '15 minutes' - interval '400 milliseconds'
             FROM {}.reservations WHERE id = $1",
            h.schema.name
        );
        let whole: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(id.as_str())
            .fetch_one(&h.pool)
            .await
            .unwrap();
        assert!(whole, "a wait for a row that was changed: {changes}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_may_be_asked_again() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    let connected = Arc::new(AtomicUsize::new(0));
    let counted = connected.clone();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .after_connect(move |connection, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let read_only = "SET default_transaction_read_only TO on";
                sqlx::raw_sql(read_only).execute(connection).await.map(drop)
            })
        });
    let pool = pool.connect(&h.schema.url).await.unwrap();
    let demoted = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    let one = reserve(&demoted, &wants("one", [line("tee", 1)])).await;
    let adjustments = [adjustment("op", "tee", StockChange::Set(9))];
    let many = demoted.adjust(&adjustments);
    let many = many.await;
    for error in [one.unwrap_err(), many.unwrap_err()] {
        assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    }
    assert_eq!(stock(&demoted, "tee").await.physical(), 5, "reads go on");
    let connected = connected.load(Ordering::Relaxed);
    assert_eq!(
        connected, 3,
        "a new connection after each, perhaps to the new primary"
    );
}

/// Until some call of this instance waits for a lock.
async fn waited_for(h: &PostgresHarness) {
    let waiting = "SELECT count(*) > 0 FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0";
    let schema = h.schema.name.as_str();
    loop {
        let waiting = sqlx::query_scalar(waiting).bind(schema);
        if waiting.fetch_one(&h.pool).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn pool_of_one(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(1);
    pool.connect(url).await.unwrap()
}

/// A store that reaches the server through a proxy.
async fn proxied(h: &PostgresHarness) -> (Proxy, PostgresInventory) {
    let (proxy, pool) = proxied_pool(h, PgPoolOptions::new()).await;
    let store = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    (proxy, store)
}

/// A pool of four connections through a proxy.
async fn proxied_pool(h: &PostgresHarness, options: PgPoolOptions) -> (Proxy, PgPool) {
    let url = h.schema.url.clone();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap_or(("postgres", rest));
    let (server, database) = rest.split_once('/').unwrap_or((rest, "postgres"));
    let server = tokio::net::lookup_host(server)
        .await
        .unwrap()
        .next()
        .unwrap();
    let proxy = Proxy::start(server).await.unwrap();
    let url = format!("{scheme}://{user}@{}/{database}", proxy.address());
    let pool = options.max_connections(4).connect(&url).await.unwrap();
    connect_all(&pool).await;
    (proxy, pool)
}

/// Makes all four connections of a pool, which are idle then.
async fn connect_all(pool: &PgPool) {
    let connections = (0..4).map(|_| pool.acquire());
    let connections = futures::future::try_join_all(connections).await.unwrap();
    drop(connections);
    while pool.num_idle() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn connections_that_were_cut_fail_one_call() {
    let Some(h) = open().await else { return };
    let untested = PgPoolOptions::new().test_before_acquire(false);
    let (proxy, pool) = proxied_pool(&h, untested).await;
    let store = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    let tee = [super::shop::sku("tee")];
    proxy.cut();
    store.stock(&tee).await.unwrap_err();
    for _ in 0..4 {
        store.stock(&tee).await.unwrap();
    }
}

#[tokio::test]
async fn a_lost_reply_is_resolved_by_the_same_id() {
    let Some(h) = open().await else { return };
    let (proxy, store) = proxied(&h).await;
    for of in ["cap", "tee"] {
        set(&store, of, 1).await;
    }
    let one = wants("the-one-line", [line("tee", 1)]);
    // Once before, so that all statements are prepared, and what is lost is the statement itself.
    reserve(&store, &wants("warm", [line("cap", 1)]))
        .await
        .unwrap();
    proxy.lose_reply_to("the-one-line");
    let error = reserve(&store, &one).await.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    let again = reserve(&store, &one).await.unwrap();
    assert_eq!(again.effect, Effect::Repeated, "the last unit was taken");

    let received = adjustment("op", "cap", StockChange::Correct(5));
    // A query ends with a zero; READ COMMITTED does not.
    proxy.lose_reply_to("COMMIT\0");
    let lost = store.adjust(std::slice::from_ref(&received)).await;
    let error = lost.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    let again = store.adjust(&[received]).await.unwrap().remove(0).unwrap();
    assert_eq!(again.effect, Effect::Repeated);
    assert_eq!(stock(&h.store, "cap").await.physical(), 6);
}

#[tokio::test]
async fn inventory_repeats_what_was_lost_and_counts_it_once() {
    let Some(h) = open().await else { return };
    let (proxy, store) = proxied(&h).await;
    set(&store, "tee", 100).await;
    let inventory = Inventory::new(Arc::new(store));
    for n in 0..10 {
        let name = format!("order-{n}");
        match n % 3 {
            0 => proxy.lose_reply_to(name.as_str()),
            1 => proxy.cut(),
            _ => {}
        }
        let request = wants(&name, [line("tee", 1)]);
        inventory.reserve(request).await.unwrap();
    }
    assert_eq!(stock(&h.store, "tee").await.reserved(), 10);
    stockade_testkit::inventory::check_ledger(&h.store).await;
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let Some(h) = open().await else { return };
    let (proxy, store) = proxied(&h).await;
    set(&store, "tee", 5).await;
    let timeouts = Timeouts::default()
        .with_acquire(Duration::from_millis(300))
        .with_transaction(Duration::from_millis(600));
    let store = store.with_timeouts(timeouts);
    proxy.delay(Duration::from_secs(3600));
    let error = reserve(&store, &wants("r", [line("tee", 1)])).await;
    assert!(error.unwrap_err().retry() != Retry::Never);
    let error = store.stock(&[super::shop::sku("tee")]).await.unwrap_err();
    let retry = error.retry();
    assert!(
        matches!(retry, Retry::OutcomeUnknown | Retry::After(_)),
        "{error}"
    );
}

#[tokio::test]
async fn expiring_many_leaves_alone_what_comes_due_meanwhile() {
    let Some(h) = open().await else { return };
    for of in ["cap", "tee"] {
        set(&h.store, of, 5).await;
    }
    let (due, soon) = (id("due"), id("soon"));
    for (id, of) in [(&due, "tee"), (&soon, "cap")] {
        let request = wants(id.as_str(), [line(of, 1)]);
        reserve(&h.store, &request).await.unwrap();
    }
    let host = host_with_a_tee(&h).await;
    run(
        &h,
        "UPDATE {schema}.reservations SET deadline = clock_timestamp()
            + CASE id WHEN 'soon' THEN 1 ELSE -1 END * interval '400 milliseconds'",
    )
    .await;
    let ids = [due, soon];
    let ending = async {
        tokio::time::sleep(Duration::from_millis(900)).await;
        host.commit().await.unwrap();
    };
    let (expired, ()) = futures::join!(h.store.expire(&ids), ending);
    for outcome in expired.unwrap() {
        let outcome = outcome.unwrap();
        assert!(matches!(outcome, Expiry::Expired(_)), "{outcome:?}");
    }
    stockade_testkit::inventory::check_ledger(&h.store).await;
}

/// Sends a signal to processes of the server, which are this user's or this user is root.
fn signal(name: &str, pids: &[i32]) {
    let mut kill = std::process::Command::new("kill");
    kill.arg(name).args(pids.iter().map(ToString::to_string));
    assert!(kill.status().unwrap().success(), "kill {name} {pids:?}");
}

/// A server of its own, whose connections can be made to fall silent; and a store over a pool of
/// four, with a second pool to watch.
struct Silenced {
    server: Option<stack::Postgres>,
    watching: PgPool,
    store: PostgresInventory,
    silent: Vec<i32>,
}

impl Silenced {
    /// None where no server is asked for at all.
    async fn open(tested: bool) -> Option<Self> {
        crate::harness::url().ok()?;
        let start = tokio::task::spawn_blocking(stack::Postgres::start);
        let server = start.await.unwrap().unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(4)
            .test_before_acquire(tested)
            .connect(&server.url())
            .await
            .unwrap();
        let watching = pool_of_one(&server.url()).await;
        let store = PostgresInventory::new(pool.clone());
        store.migrate().await.unwrap();
        for of in ["cap", "tee"] {
            set(&store, of, 100).await;
        }
        connect_all(&pool).await;
        Some(Self {
            server: Some(server),
            watching,
            store,
            silent: Vec::new(),
        })
    }

    /// The store, with little patience.
    fn hasty(&self) -> PostgresInventory {
        let timeouts = Timeouts::default()
            .with_lock(Duration::from_secs(60))
            .with_acquire(Duration::from_millis(300))
            .with_transaction(Duration::from_millis(600));
        self.store.clone().with_timeouts(timeouts)
    }

    /// Lets all connections of the pool fall silent, once each is in that state.
    async fn silence(&mut self, state: &str) {
        let others = "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
            AND backend_type = 'client backend'
            AND CASE WHEN wait_event_type = 'Lock' THEN 'waiting' ELSE state END = $1";
        loop {
            let pids = sqlx::query_scalar(others).bind(state);
            let pids: Vec<i32> = pids.fetch_all(&self.watching).await.unwrap();
            if pids.len() == 4 {
                signal("-STOP", &pids);
                self.silent = pids;
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn close(mut self) {
        signal("-CONT", &self.silent);
        let server = self.server.take();
        tokio::task::spawn_blocking(move || drop(server))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn calls_to_silent_connections_cost_no_place_in_the_pool() {
    for tested in [true, false] {
        let Some(mut silenced) = Silenced::open(tested).await else {
            return;
        };
        let lock = "BEGIN; SELECT FROM inventory.levels WHERE sku = 'tee' FOR UPDATE";
        let holder = pool_of_one(&silenced.server.as_ref().unwrap().url()).await;
        let mut holder = holder.acquire().await.unwrap();
        sqlx::raw_sql(lock).execute(&mut *holder).await.unwrap();
        let hasty = silenced.hasty();
        let waiting: Vec<_> = (0..4)
            .map(|n| {
                let hasty = hasty.clone();
                tokio::spawn(async move {
                    reserve(&hasty, &wants(&format!("r{n}"), [line("tee", 1)])).await
                })
            })
            .collect();
        silenced.silence("waiting").await;
        for call in waiting {
            call.await.unwrap().unwrap_err();
        }
        for n in 0..8 {
            let request = wants(&format!("later-{n}"), [line("cap", 1)]);
            reserve(&silenced.store, &request).await.unwrap();
        }
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut *holder)
            .await
            .unwrap();
        silenced.close().await;
    }
}

#[tokio::test]
async fn connections_that_fell_silent_while_idle_fail_one_call() {
    for tested in [true, false] {
        let Some(mut silenced) = Silenced::open(tested).await else {
            return;
        };
        silenced.silence("idle").await;
        let tee = [super::shop::sku("tee")];
        silenced.hasty().stock(&tee).await.unwrap_err();
        for _ in 0..8 {
            silenced.hasty().stock(&tee).await.unwrap();
        }
        silenced.close().await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_closes_no_other_connection() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    run(
        &h,
        "CREATE FUNCTION {schema}.pause() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
         CREATE TRIGGER pause BEFORE UPDATE ON {schema}.levels
             FOR EACH ROW EXECUTE FUNCTION {schema}.pause()",
    )
    .await;
    let pool = PgPoolOptions::new().max_connections(8).min_connections(8);
    let pool = pool.connect(&h.schema.url).await.unwrap();
    while pool.num_idle() < 8 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let before = backends(&pool).await;
    let timeouts = Timeouts::default().with_statement(Duration::from_millis(100));
    let store = PostgresInventory::new(pool.clone())
        .with_schema(h.schema.name.clone())
        .with_timeouts(timeouts);
    let two = wants("two", [line("tee", 1), line("cap", 1)]);
    let set = adjustment("set", "tee", StockChange::Set(6));
    let late = store.adjust(&[set]).await.unwrap_err();
    assert!(matches!(late.retry(), Retry::After(_)), "{late}");
    let _ = reserve(&store, &two).await;
    let after = backends(&pool).await;
    let kept = before.iter().filter(|backend| after.contains(backend));
    assert!(kept.count() >= 6, "of {before:?} there are {after:?}");
}

/// The connections of a pool, by the numbers of their processes.
async fn backends(pool: &PgPool) -> Vec<i32> {
    let mut all = Vec::new();
    while let Some(connection) = pool.try_acquire() {
        all.push(connection);
    }
    let mut backends = Vec::new();
    for connection in &mut all {
        let backend = sqlx::query_scalar("SELECT pg_backend_pid()");
        backends.push(backend.fetch_one(&mut **connection).await.unwrap());
    }
    backends
}
