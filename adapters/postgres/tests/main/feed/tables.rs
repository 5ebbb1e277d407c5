//! Tables of every kind, and what their rows hold.

use serde_json::{Value, json};
use stockade_change_feed::debezium::{Change, RowChange};
use stockade_change_feed::{OnLostOffset, debezium};

use stockade_postgres::{CapturedTable, PostgresCapture};

use super::host::{Host, Memory, capture_of, feed_over, ids, poll, told, topic};

/// The rows by what is told of them last.
fn last_row(told: &[(String, RowChange)]) -> Value {
    match &told.last().unwrap().1.change {
        Change::Create { after } | Change::Read { after } | Change::Update { after, .. } => {
            Value::Object(after.clone())
        }
        other => panic!("no row: {other:?}"),
    }
}

/// A snapshot and the slot tell the same of the same row.
#[tokio::test]
async fn values_are_told_alike_by_snapshot_and_slot() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.sql(
        "CREATE TYPE size AS ENUM ('S', 'M'); \
         CREATE TYPE pair AS (a INT, b INT); \
         CREATE DOMAIN pieces AS INT CHECK (value >= 0); \
         ALTER TABLE tees ADD \"Odd \"\"name\" TEXT, ADD n NUMERIC, ADD f FLOAT8, ADD day DATE, \
             ADD local TIMESTAMP(3), ADD size size, ADD pieces pieces, ADD tags TEXT[], \
             ADD bytes BYTEA, ADD at TIME, ADD pair pair, ADD twice INT GENERATED ALWAYS AS (id * 2) STORED",
    )
    .await;
    // What the database is set to must not show.
    host.sql(&format!(
        "ALTER DATABASE {0} SET bytea_output = escape; ALTER DATABASE {0} SET DateStyle = German; \
         ALTER DATABASE {0} SET TimeZone = 'Asia/Tokyo'",
        host.slot
    ))
    .await;
    let capture = capture_of(feed_over(host.narrow_pool()), &host.slot);
    let capturing = async || while capture.run_once().await.unwrap() {};
    let rows = "INSERT INTO tees VALUES \
        (1, 7, 'a', '2026-01-31 12:00:00+00', 'q', 'NaN', 'Infinity', 'infinity', \
         '2026-01-31 12:00:00.5', 'M', 5, '{a,\"b,c\"}', '\\x00ff', '12:30', '(1,)'), \
        (2, 7, NULL, '-infinity', NULL, 1.10, 0.1, '0044-03-15 BC', NULL, NULL, NULL, '{}', '', NULL, '(,)')";
    host.sql(rows).await;
    capturing().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let snapshot = told(reader.as_mut()).await;
    host.sql("DELETE FROM tees").await;
    capturing().await;
    told(reader.as_mut()).await;
    host.sql(rows).await;
    capturing().await;
    let slot = told(reader.as_mut()).await;
    assert_eq!(ids(&snapshot), [1, 2]);
    for (read, created) in snapshot.iter().zip(&slot) {
        let both = [std::slice::from_ref(read), std::slice::from_ref(created)];
        let [read, created] = both.map(last_row);
        assert_eq!(read, created);
    }
    let expected = json!({
        "id": 1, "parent": 7, "title": "a", "made": "2026-01-31T12:00:00Z", "Odd \"name": "q",
        "n": "NaN", "f": "Infinity", "day": "infinity", "local": 1_769_860_800_500_i64,
        "size": "M", "pieces": "5", "tags": "{a,\"b,c\"}", "bytes": "\\x00ff", "at": "12:30:00",
        "pair": "(1,)",
    });
    assert_eq!(last_row(&slot[..1]), expected);
}

/// Every captured change of a row has its TOASTed values, also those that did not change.
#[tokio::test]
async fn a_large_value_is_told_when_another_column_changes() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    host.sql(
        "INSERT INTO tees SELECT 1, 7, string_agg(md5(n::text), ''), NULL \
         FROM generate_series(1, 1000) AS n",
    )
    .await;
    host.sql("UPDATE tees SET made = '2026-01-31 12:00:00+00'")
        .await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let told = told(reader.as_mut()).await;
    let mut inserted = last_row(&told[..1]);
    assert_eq!(inserted["title"].as_str().unwrap().len(), 32_000);
    inserted["made"] = json!("2026-01-31T12:00:00Z");
    assert!(
        last_row(&told) == inserted,
        "the update has the whole title"
    );
}

/// A reader of the old key hears that its row is gone, and one of the new key that it is there.
#[tokio::test]
async fn a_changed_key_is_told_as_a_deletion_and_a_creation() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    host.sql("UPDATE tees SET title = 'b'; UPDATE tees SET id = 11, parent = 8")
        .await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let seen = told(reader.as_mut()).await;
    let row = |id: i32, parent: i32, title: &str| {
        let row = json!({"id": id, "parent": parent, "title": title, "made": null});
        row.as_object().unwrap().clone()
    };
    let seen: Vec<_> = seen
        .into_iter()
        .map(|(key, told)| (key, told.change))
        .collect();
    let expected = [
        (
            7,
            Change::Create {
                after: row(1, 7, "a"),
            },
        ),
        (
            7,
            Change::Update {
                before: Some(row(1, 7, "a")),
                after: row(1, 7, "b"),
            },
        ),
        (
            7,
            Change::Delete {
                before: row(1, 7, "b"),
            },
        ),
        (
            8,
            Change::Create {
                after: row(11, 8, "b"),
            },
        ),
    ];
    let expected = expected.map(|(parent, change)| (json!({"parent": parent}).to_string(), change));
    assert_eq!(seen, expected);
}

/// Without REPLICA IDENTITY FULL, the server sends the old key only when the key changes.
#[tokio::test]
async fn a_changed_primary_key_is_told_without_whole_old_rows() {
    let Some(host) = Host::open().await else {
        return;
    };
    let tables = vec![CapturedTable::new("public", "others", topic(), ["id"])];
    let capture = PostgresCapture::new(host.feed.clone(), &host.slot, "tees_changes", tables);
    let capture = capture.unwrap();
    let capturing = async || while capture.run_once().await.unwrap() {};
    host.sql("ALTER TABLE others ADD n INT").await;
    capturing().await;
    host.sql("INSERT INTO others VALUES (1, 5); UPDATE others SET n = 6")
        .await;
    host.sql("UPDATE others SET id = 11").await;
    capturing().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let seen = told(reader.as_mut()).await;
    let seen: Vec<_> = seen.into_iter().map(|(_, told)| told.change).collect();
    let row = |row: Value| row.as_object().unwrap().clone();
    let expected = [
        Change::Create {
            after: row(json!({"id": 1, "n": 5})),
        },
        Change::Update {
            before: None,
            after: row(json!({"id": 1, "n": 6})),
        },
        Change::Delete {
            before: row(json!({"id": 1})),
        },
        Change::Create {
            after: row(json!({"id": 11, "n": 6})),
        },
    ];
    assert_eq!(seen, expected);
}

/// Rows of children are theirs; a slot tells of them as such.
#[tokio::test]
async fn a_snapshot_has_the_rows_that_the_slot_would_tell() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.sql(
        "CREATE TABLE child () INHERITS (tees); INSERT INTO child VALUES (1, 7, 'a', NULL); \
         INSERT INTO tees VALUES (2, 7, 'a', NULL)",
    )
    .await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [2]);
}

/// In a snapshot and in one transaction: 150 rows of 1 MiB.
#[tokio::test]
async fn large_rows_are_in_hand_one_by_one() {
    let Some(host) = Host::open().await else {
        return;
    };
    let memory = Memory::alone().await;
    host.sql(
        "INSERT INTO tees SELECT n, 7, repeat(md5(n::text), 32768), NULL \
         FROM generate_series(1, 150) AS n",
    )
    .await;
    for what in ["the snapshot", "one transaction"] {
        let before = memory.peak_from_here();
        host.capture().await;
        let grown = memory.peak().saturating_sub(before);
        assert!(grown < 150 << 20, "{what} took {} MiB more", grown >> 20);
        host.sql("DELETE FROM tees WHERE id > 100").await;
    }
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let (mut rows, mut polls) = (0, 0);
    while rows < 200 {
        polls += 1;
        assert!(polls < 1_000, "{rows} of 200 came");
        for record in poll(reader.as_mut()).await.unwrap().records {
            debezium::decode(record.value.as_ref()).unwrap().unwrap();
            rows += 1;
        }
    }
}
