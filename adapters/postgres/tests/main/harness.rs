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

/// A small pool: cases run at the same time, and each has one.
pub(crate) async fn pool(url: &str) -> PgPool {
    let pool = PgPoolOptions::new().max_connections(8);
    pool.connect(url).await.unwrap()
}

/// A schema that nobody else has, gone at the end of the case.
pub(crate) struct OwnSchema {
    pub(crate) name: Schema,
    pub(crate) url: String,
}

impl OwnSchema {
    pub(crate) fn new(url: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let name = Schema::new(format!("case_{started}_{process}_{count}")).unwrap();
        Self { name, url }
    }
}

impl Drop for OwnSchema {
    fn drop(&mut self) {
        let (url, schema) = (self.url.clone(), self.name.clone());
        // A thread, because this may be dropped on one that must not block.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let pool = pool(&url).await;
                let drop = format!(
                    "DROP PUBLICATION IF EXISTS {schema}_changes; DROP SCHEMA IF EXISTS {schema} CASCADE"
                );
                sqlx::raw_sql(AssertSqlSafe(drop)).execute(&pool).await.ok();
            });
        });
        dropping.join().ok();
    }
}
