//! What happens to a slot and its capture: crashes, losses, tables that change under it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stockade_change_feed::debezium::{self, Change, RowChange};
use stockade_change_feed::{FeedError, OnLostOffset, Retry};

use super::host::{Host, Memory, ids, poll, told};

#[tokio::test]
async fn rows_before_the_slot_come_as_a_snapshot() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.sql("INSERT INTO tees VALUES (1, 7, 'it''s', '2026-01-31 12:00:00.5+00')")
        .await;
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (2, 7, NULL, NULL)").await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let told = told(reader.as_mut()).await;
    assert_eq!(ids(&told), [1, 2]);
    let row = json!({"id": 1, "parent": 7, "title": "it's", "made": "2026-01-31T12:00:00.5Z"});
    let read = Change::Read {
        after: row.as_object().unwrap().clone(),
    };
    assert_eq!(
        (told[0].0.as_str(), &told[0].1.change),
        (r#"{"parent":7}"#, &read)
    );
    assert_eq!(told[0].1.sequence.last_commit, None);
    assert!(told[1].1.sequence > told[0].1.sequence);
}

#[tokio::test]
async fn every_kind_of_change_is_told() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    // It moves to another parent; others is not asked for.
    host.sql("UPDATE tees SET parent = 8; INSERT INTO others VALUES (1)")
        .await;
    host.sql("ALTER TABLE tees ADD COLUMN extra JSONB DEFAULT '{}'")
        .await;
    host.sql("DELETE FROM tees").await;
    host.sql("TRUNCATE tees").await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let told = told(reader.as_mut()).await;
    let keys: Vec<&str> = told.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys.last(), Some(&""), "a truncation has no key");
    assert_eq!(
        keys[..4],
        [7, 7, 8, 8].map(|parent| json!({"parent": parent}).to_string())
    );
    let moved = (&told[1].1.change, &told[2].1.change);
    let (Change::Delete { before }, Change::Create { after }) = moved else {
        panic!("{told:?}");
    };
    assert_eq!(
        (&before["parent"], &after["parent"]),
        (&json!(7), &json!(8))
    );
    let Change::Delete { before } = &told[3].1.change else {
        panic!("{told:?}");
    };
    assert_eq!(before["extra"], Value::from("{}"), "the table has changed");
    assert_eq!(told[4].1.change, Change::Truncate);
    let sequences: Vec<_> = told.iter().map(|(_, told)| told.sequence).collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
}

#[tokio::test]
async fn a_table_that_is_renamed_or_dropped_stops_nobody() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    host.sql("ALTER TABLE tees RENAME TO shirts").await;
    host.sql("INSERT INTO shirts VALUES (2, 7, 'a', NULL)")
        .await;
    host.sql("ALTER TABLE shirts RENAME TO tees").await;
    host.sql("INSERT INTO tees VALUES (3, 7, 'a', NULL)").await;
    host.sql("DROP TABLE others").await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [1, 3]);
    host.sql("DROP TABLE tees").await;
    host.capture().await;
    let problems = host.capture.problems().await.unwrap();
    let missing = r#"no table "public"."tees""#;
    assert!(problems[0].contains(missing), "{problems:?}");
}

#[tokio::test]
async fn commits_that_interleave_are_told_in_their_order() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    let mut early = host.pool.begin().await.unwrap();
    let insert = "INSERT INTO tees VALUES (1, 7, 'a', NULL)";
    sqlx::raw_sql(insert).execute(&mut *early).await.unwrap();
    host.sql("INSERT INTO tees VALUES (2, 7, 'a', NULL)").await;
    host.capture().await;
    early.commit().await.unwrap();
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let told = told(reader.as_mut()).await;
    assert_eq!(ids(&told), [2, 1]);
    assert!(
        told[0].1.sequence < told[1].1.sequence,
        "by commits, not by places"
    );
    assert!(told[0].1.sequence.lsn > told[1].1.sequence.lsn);
}

#[tokio::test]
async fn what_the_slot_tells_again_is_left_out() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    for id in 1..=5 {
        host.sql(&format!("INSERT INTO tees VALUES ({id}, 7, 'a', NULL)"))
            .await;
    }
    // As a crash would leave it between the commit and the advance of the slot: the slot is
    // behind what is noted.
    let noted = "UPDATE feed.captures SET commit_lsn = ( \
        SELECT (lsn - '0/0')::bigint FROM pg_logical_slot_peek_binary_changes( \
            slot, NULL, NULL, 'proto_version', '1', 'publication_names', 'tees_changes') \
        WHERE get_byte(data, 0) = ascii('C') ORDER BY lsn OFFSET 2 LIMIT 1)";
    host.sql(noted).await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [4, 5]);
}

/// Its session may have lost the lock without its knowing, as behind a pooler.
#[tokio::test]
async fn what_another_has_told_meanwhile_is_not_told_again() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    let mut another = host.pool.begin().await.unwrap();
    let told_by_another =
        "UPDATE feed.captures SET commit_lsn = (pg_current_wal_flush_lsn() - '0/0')::bigint";
    sqlx::raw_sql(told_by_another)
        .execute(&mut *another)
        .await
        .unwrap();
    let capture = host.capture.clone();
    let overtaken = tokio::spawn(async move { capture.run_once().await });
    host.until_blocked().await;
    another.commit().await.unwrap();
    overtaken.await.unwrap().unwrap();
    host.sql("INSERT INTO tees VALUES (2, 7, 'a', NULL)").await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [2]);
}

#[tokio::test]
async fn who_captures_may_take_long_but_not_be_silent() {
    let Some(host) = Host::open().await else {
        return;
    };
    let rows = "INSERT INTO tees SELECT n, 7, 'a', NULL FROM generate_series(1, 5000) AS n";
    host.sql(rows).await;
    let patience = Duration::from_secs(1);
    let (proxy, capture) = host.through_proxy().await;
    let capture = capture.with_patience(patience);
    assert!(capture.run_once().await.unwrap(), "the slot");
    // Each page takes a while, and all of them several times as long as one may be silent.
    proxy.delay(Duration::from_millis(10));
    let started = Instant::now();
    assert!(capture.run_once().await.unwrap(), "the snapshot");
    assert!(started.elapsed() > patience, "it took so long");
    host.sql("UPDATE tees SET title = 'b'").await;
    let started = Instant::now();
    assert!(capture.run_once().await.unwrap(), "one transaction");
    assert!(started.elapsed() > patience, "it took so long");
    proxy.clear();
    host.sql("UPDATE tees SET title = 'c' WHERE id = 1").await;
    // The server has nothing to say until the lock is let go of.
    let mut holding = host.pool.begin().await.unwrap();
    let hold = "SELECT FROM feed.captures FOR UPDATE";
    sqlx::raw_sql(hold).execute(&mut *holding).await.unwrap();
    let silence = capture.run_once().await.unwrap_err();
    assert_ne!(silence.retry(), Retry::Never, "{silence}");
    holding.rollback().await.unwrap();
    assert!(capture.run_once().await.unwrap(), "it goes on");
}

#[tokio::test]
async fn a_lost_slot_is_told_and_read_again_from_a_snapshot() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    host.capture().await;
    let mut careful = host.reader("careful", OnLostOffset::Fail).await;
    let mut eager = host.reader("eager", OnLostOffset::Earliest).await;
    for reader in [&mut careful, &mut eager] {
        let mut last = None;
        while last.is_none() {
            last = poll(reader.as_mut()).await.unwrap().records.pop();
        }
        let position = last.unwrap().position;
        assert!(reader.commit(&[position]).await.unwrap()[0].is_ok());
    }
    host.sql(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
        WHERE database = current_database()",
    )
    .await;
    host.sql("INSERT INTO tees VALUES (2, 7, 'missed', NULL)")
        .await;
    host.capture().await;
    let error = poll(careful.as_mut()).await.unwrap_err();
    assert!(matches!(error, FeedError::OffsetLost { .. }), "{error}");
    let polled = poll(eager.as_mut()).await.unwrap();
    assert_eq!(polled.resets.len(), 1, "it is reported");
    let told = told(eager.as_mut()).await;
    let read = |told: &(String, RowChange)| matches!(told.1.change, Change::Read { .. });
    assert!(told.iter().all(read), "a snapshot reads: {told:?}");
    let rows: BTreeSet<i64> = ids(&told).into_iter().collect();
    assert_eq!(rows, [1, 2].into());
}

#[tokio::test]
async fn one_captures_and_another_takes_over() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    let running = || tokio::spawn(host.capture.clone().run(std::future::pending()));
    let (first, second) = (running(), running());
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let mut seen = Vec::new();
    for id in 0..60 {
        host.sql(&format!("INSERT INTO tees VALUES ({id}, 7, 'a', NULL)"))
            .await;
        if id == 30 {
            first.abort();
        }
        seen.extend(ids(&told(reader.as_mut()).await));
    }
    for _ in 0..100 {
        if seen.len() >= 60 {
            break;
        }
        seen.extend(ids(&told(reader.as_mut()).await));
    }
    second.abort();
    assert_eq!(seen, (0..60).collect::<Vec<i64>>(), "each once, in order");
}

#[tokio::test]
async fn the_log_lets_the_server_forget() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    // A reader that never finishes anything holds nothing back.
    let mut reader = host.reader("stuck", OnLostOffset::Fail).await;
    poll(reader.as_mut()).await.unwrap();
    let insert =
        "INSERT INTO tees SELECT n, 7, repeat('x', 1000), NULL FROM generate_series(1, 5000) AS n";
    host.sql(insert).await;
    let behind = host.capture.status().await.unwrap().unwrap().behind_bytes;
    assert!(behind > 4 << 20, "{behind}");
    host.capture().await;
    // Other tables fill the write-ahead log as well, and nobody asks for their changes.
    let noise = "CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)";
    host.sql(noise).await;
    let here = "SELECT pg_current_wal_flush_lsn()::text";
    let here: String = sqlx::query_scalar(here)
        .fetch_one(&host.pool)
        .await
        .unwrap();
    host.capture().await;
    // Others write as well, so how far it is behind now says nothing.
    let forgotten = "SELECT confirmed_flush_lsn > $1::pg_lsn - (2 << 20)::numeric \
        FROM pg_replication_slots WHERE database = current_database()";
    let forgotten = sqlx::query_scalar::<_, bool>(forgotten).bind(here);
    assert!(
        forgotten.fetch_one(&host.pool).await.unwrap(),
        "it holds back what it told"
    );
    let status = host.capture.status().await.unwrap().unwrap();
    assert_eq!(status.wal_status, "reserved");
}

/// One transaction of 100,000 rows, of some 100 MiB with what is told of each.
#[tokio::test]
async fn a_huge_transaction_needs_little_memory() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    let insert = "INSERT INTO tees SELECT n, 7, repeat(md5(n::text), 16), NULL \
        FROM generate_series(1, 100000) AS n";
    host.sql(insert).await;
    let memory = Memory::alone().await;
    let before = memory.peak_from_here();
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let (mut expected, mut polls) = (1, 0);
    while expected <= 100_000 && polls < 10_000 {
        polls += 1;
        for record in poll(reader.as_mut()).await.unwrap().records {
            let change = debezium::decode(record.value.as_ref()).unwrap().unwrap();
            assert_eq!(ids(&[(String::new(), change)]), [expected]);
            expected += 1;
        }
    }
    assert_eq!(expected, 100_001, "each once, in order");
    let grown = memory.peak().saturating_sub(before);
    assert!(grown < 48 << 20, "it took {} MiB more", grown >> 20);
}
