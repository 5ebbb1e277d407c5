//! A schema of its own for each case.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use stockade_postgres::Schema;
use stockade_testkit::Absent;

/// Where the server is, or how to get one.
pub(crate) fn url() -> Result<String, Absent> {
    let missing = "STOCKADE_POSTGRES_URL is not set; run the tests by `cargo stack test`";
    std::env::var("STOCKADE_POSTGRES_URL").map_err(|_| Absent::because(missing))
}

/// Runs what blocks on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.unwrap()
}

/// Kills a server with SIGKILL, and starts it again with its data.
pub(crate) async fn kill(server: &mut Option<stack::Postgres>) {
    let mut running = server.take().unwrap();
    let restarted = blocking(move || {
        running.kill();
        running.restart().unwrap();
        running
    });
    *server = Some(restarted.await);
}

/// A small pool: cases run at the same time, and each has one.
pub(crate) async fn pool(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(8);
    pool.connect(url).await.unwrap()
}

/// A pool whose connections act as that role.
pub(crate) async fn pool_as(url: &str, role: &str) -> PgPool {
    let role = format!("SET ROLE {role}");
    let pool = PgPoolOptions::new().after_connect(move |connection, _| {
        let role = sqlx::raw_sql(AssertSqlSafe(role.clone()));
        Box::pin(async move { role.execute(connection).await.map(drop) })
    });
    pool.max_connections(2).connect(url).await.unwrap()
}

/// What the README grants a service's role in the schema of a component, for this schema and role.
pub(crate) fn documented_grants(component: &str, schema: &Schema, role: &str) -> String {
    let begin = format!("GRANT USAGE ON SCHEMA {component} TO shop;");
    let (_, rest) = include_str!("../../README.md").split_once(&begin).unwrap();
    let (rest, _) = rest.split_once("```").unwrap();
    format!("{begin}{rest}")
        .replace(&format!("{component} TO"), &format!("{schema} TO"))
        .replace(&format!("{component}."), &format!("{schema}."))
        .replace("TO shop", &format!("TO {role}"))
}

/// A schema that nobody else has, gone at the end of the case.
pub(crate) struct OwnSchema {
    pub(crate) name: Schema,
    pub(crate) url: String,
}

impl OwnSchema {
    pub(crate) fn new(url: String) -> Self {
        let name = Schema::new(unique("case")).unwrap();
        Self { name, url }
    }
}

impl Drop for OwnSchema {
    fn drop(&mut self) {
        let (url, schema) = (self.url.clone(), self.name.clone());
        aside(async move {
            let pool = pool(&url).await;
            // A case that failed may have left a transaction open.
            let drop = format!(
                "SET lock_timeout = '10s'; DROP PUBLICATION IF EXISTS {schema}_changes; DROP SCHEMA IF EXISTS {schema} CASCADE"
            );
            sqlx::raw_sql(AssertSqlSafe(drop)).execute(&pool).await.ok();
        });
    }
}

/// A name that no other case has, of this run or another.
fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{prefix}_{started}_{process}_{count}")
}

/// Runs it on a thread of its own, because a case may be dropped on one that must not block.
fn aside(work: impl Future<Output = ()> + Send + 'static) {
    let working = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(work);
    });
    working.join().ok();
}

/// A database that nobody else has, gone with its slots at the end of the case: slots are of a
/// database, and the names of catalogues repeat.
pub(crate) struct OwnDatabase {
    pub(crate) name: String,
    server: String,
}

impl OwnDatabase {
    pub(crate) async fn create(server: &str) -> Self {
        let name = unique("case");
        let pool = pool(server).await;
        let create = format!("CREATE DATABASE {name}");
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&pool)
            .await
            .unwrap();
        let server = server.to_owned();
        Self { name, server }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        let (before, _) = self.server.rsplit_once('/').unwrap();
        format!("{before}/{}", self.name)
    }

    pub(crate) async fn pool(&self) -> PgPool {
        pool(&self.url()).await
    }
}

impl Drop for OwnDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        aside(async move {
            let pool = pool(&server).await;
            // Who captures may still hold the slot.
            for _ in 0..20 {
                let end =
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
                sqlx::query(end).bind(&name).execute(&pool).await.ok();
                let drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
                     WHERE database = $1";
                let dropped = sqlx::query(drop).bind(&name).execute(&pool).await;
                let gone = format!("DROP DATABASE {name} WITH (FORCE)");
                let gone = sqlx::raw_sql(AssertSqlSafe(gone)).execute(&pool).await;
                if dropped.is_ok() && gone.is_ok() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        });
    }
}
