//! A server that is killed again and again while rows change, are captured and are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use sqlx::PgPool;
use stockade_change_feed::debezium::{self, Change, Columns, RowChange};
use stockade_change_feed::{OnLostOffset, Subscription};
use stockade_postgres::connect;
use stockade_testkit::Absent;

use super::host::{Host, poll, skip};

const KILLS: usize = 4;
/// A row that each transaction changes, among others.
const MARKER: i64 = 1_000;

/// Changes some rows in one transaction, whose number is the title that it leaves. Says how many
/// rows have it then.
async fn transact(pool: &PgPool, number: u64, rng: &mut Rng) -> Result<usize, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let mut written = 0;
    let ids: BTreeSet<i64> = (0..rng.u8(1..6)).map(|_| rng.i64(0..30)).collect();
    for id in ids.into_iter().chain([MARKER]) {
        let change = if id != MARKER && rng.u8(0..3) == 0 {
            sqlx::query("DELETE FROM tees WHERE id = $1").bind(id)
        } else {
            written += 1;
            let put = "INSERT INTO tees VALUES ($1, 7, $2, NULL) \
                ON CONFLICT (id) DO UPDATE SET title = excluded.title";
            sqlx::query(put).bind(id).bind(number.to_string())
        };
        change.execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    Ok(written)
}

/// What the log tells: the rows as they are in the end, and how often each number was told.
#[derive(Default)]
struct Told {
    rows: BTreeMap<i64, String>,
    times: BTreeMap<u64, usize>,
}

impl Told {
    fn note(&mut self, told: RowChange) {
        match told.change {
            Change::Create { after } | Change::Update { after, .. } => {
                let (id, title) = row(&after);
                *self.times.entry(title.parse().unwrap()).or_default() += 1;
                self.rows.insert(id, title);
            }
            Change::Delete { before } => {
                let gone = self.rows.remove(&row(&before).0);
                assert!(gone.is_some(), "{before:?} was not there");
            }
            other => panic!("not asked for: {other:?}"),
        }
    }

    async fn follow(&mut self, reader: &mut dyn Subscription) {
        match poll(reader).await {
            Ok(polled) => {
                for record in polled.records {
                    let told = debezium::decode(record.value.as_ref()).unwrap();
                    self.note(told.unwrap());
                }
            }
            // The server is down.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn row(columns: &Columns) -> (i64, String) {
    let title = columns["title"].as_str().unwrap();
    (columns["id"].as_i64().unwrap(), title.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_each_transaction_once_whatever_dies() {
    let started = tokio::task::spawn_blocking(stack::Postgres::start);
    let mut server = match started.await.unwrap() {
        Ok(server) => server,
        Err(error) => return skip(&Absent::because(error.to_string())).unwrap_or(()),
    };
    let seed = fastrand::u64(..);
    eprintln!("seed {seed}");
    let url = server.url_at(server.address());
    let host = Host::over(connect(&url).await.unwrap(), "tees").await;
    host.capture().await;
    let capturing = tokio::spawn(host.capture.clone().run(std::future::pending()));
    let over = Arc::new(AtomicBool::new(false));
    let (pool, enough) = (host.pool.clone(), over.clone());
    let writing = tokio::spawn(async move {
        let (mut rng, mut outcomes) = (Rng::with_seed(seed), Vec::new());
        while !enough.load(Ordering::Relaxed) || outcomes.last().is_none_or(Option::is_none) {
            let number = outcomes.len() as u64;
            let written = transact(&pool, number, &mut rng).await.ok();
            if written.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            outcomes.push(written);
        }
        outcomes
    });
    let killing = tokio::spawn(async move {
        let mut rng = Rng::with_seed(!seed);
        for _ in 0..KILLS {
            tokio::time::sleep(Duration::from_millis(rng.u64(100..700))).await;
            let again = tokio::task::spawn_blocking(move || {
                server.kill();
                server.restart().unwrap();
                server
            });
            server = again.await.unwrap();
        }
        over.store(true, Ordering::Relaxed);
        server
    });

    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let mut told = Told::default();
    while !writing.is_finished() {
        told.follow(reader.as_mut()).await;
    }
    let outcomes = writing.await.unwrap();
    let last = outcomes.len() as u64 - 1;
    let catching_up = async {
        while told.times.get(&last) != outcomes[last as usize].as_ref() {
            told.follow(reader.as_mut()).await;
        }
    };
    let caught_up = tokio::time::timeout(Duration::from_secs(60), catching_up).await;
    caught_up.expect("the last transaction is told");
    capturing.abort();

    for (number, written) in (0..).zip(outcomes) {
        let times = told.times.get(&number).copied();
        // Where a commit was not answered it may have taken effect.
        if let Some(written) = written {
            assert_eq!(times, Some(written), "transaction {number}, seed {seed}");
        }
    }
    let rows: Vec<(i32, String)> = sqlx::query_as("SELECT id, title FROM tees")
        .fetch_all(&host.pool)
        .await
        .unwrap();
    let rows: BTreeMap<i64, String> = rows.into_iter().map(|(id, t)| (id.into(), t)).collect();
    assert_eq!(told.rows, rows, "seed {seed}");
    drop(killing.await.unwrap());
}
