//! Publications that do not say all that the capture has to know.

use stockade_change_feed::OnLostOffset;
use stockade_change_feed::debezium::Change;
use stockade_postgres::{CapturedTable, PostgresCapture};

use super::host::{Host, ids, told, topic};

/// Follows the advice that stands behind each problem.
async fn mend(host: &Host, capture: &PostgresCapture) {
    for problem in capture.problems().await.unwrap() {
        let (_, command) = problem.split_once(": ").expect(&problem);
        host.sql(command).await;
    }
    let left = capture.problems().await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_publication_leaves_out_is_named_with_what_mends_it() {
    let Some(host) = Host::open().await else {
        return;
    };
    for (fault, named) in [
        ("DROP PUBLICATION tees_changes", "there is no publication"),
        (
            "ALTER PUBLICATION tees_changes DROP TABLE tees",
            "not published",
        ),
        (
            "ALTER PUBLICATION tees_changes SET (publish = 'insert')",
            "update",
        ),
        (
            "ALTER PUBLICATION tees_changes SET TABLE tees WHERE (id > 5)",
            "id > 5",
        ),
        (
            "ALTER PUBLICATION tees_changes SET TABLE tees (id, parent)",
            "title",
        ),
        (
            "DROP PUBLICATION tees_changes; CREATE PUBLICATION tees_changes FOR ALL TABLES",
            "the log",
        ),
        (
            "ALTER PUBLICATION tees_changes ADD TABLE feed.records",
            "the log",
        ),
        ("ALTER TABLE tees REPLICA IDENTITY DEFAULT", "whole"),
    ] {
        host.sql(fault).await;
        let problems = host.capture.problems().await.unwrap();
        assert_eq!(problems.len(), 1, "{fault}: {problems:?}");
        assert!(problems[0].contains(named), "{fault}: {problems:?}");
        mend(&host, &host.capture).await;
    }
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [1]);
}

#[tokio::test]
async fn a_partitioned_table_is_told_of_as_one() {
    let Some(host) = Host::open().await else {
        return;
    };
    let tables = "CREATE TABLE \"Parted \"\"Tees\" (id INT, parent INT) PARTITION BY LIST (parent); \
        CREATE TABLE seven PARTITION OF \"Parted \"\"Tees\" FOR VALUES IN (7); \
        INSERT INTO \"Parted \"\"Tees\" VALUES (1, 7); \
        CREATE PUBLICATION parted_changes FOR TABLE \"Parted \"\"Tees\"";
    host.sql(tables).await;
    let table = |name: &str| vec![CapturedTable::new("public", name, topic(), ["parent"])];
    let capture_of = |name| {
        let (feed, slot) = (host.feed.clone(), host.slot.as_str());
        PostgresCapture::new(feed, slot, "parted_changes", table(name)).unwrap()
    };
    let capture = capture_of("Parted \"Tees");
    mend(&host, &capture).await;
    while capture.run_once().await.unwrap() {}
    host.sql("INSERT INTO seven VALUES (2, 7); DELETE FROM seven WHERE id = 1")
        .await;
    while capture.run_once().await.unwrap() {}
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    let told = told(reader.as_mut()).await;
    assert_eq!(ids(&told), [1, 2]);
    assert!(
        matches!(told[2].1.change, Change::Delete { .. }),
        "{told:?}"
    );
    // One of its parts alone would be told of as the whole.
    mend(&host, &capture_of("seven")).await;
}

#[tokio::test]
async fn a_publication_that_comes_late_finds_no_slot_in_its_way() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.sql("DROP PUBLICATION tees_changes").await;
    let refused = host.capture.run_once().await.unwrap_err().to_string();
    assert!(refused.contains("CREATE PUBLICATION"), "{refused}");
    // A slot that was there by now could not be read beyond this any more.
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    mend(&host, &host.capture).await;
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (2, 7, 'a', NULL)").await;
    host.capture().await;
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [1, 2]);
}

/// What it writes itself is told to it, and must not have it write again.
#[tokio::test]
async fn a_publication_of_everything_comes_to_rest() {
    let Some(host) = Host::open().await else {
        return;
    };
    host.sql("DROP PUBLICATION tees_changes; CREATE PUBLICATION tees_changes FOR ALL TABLES")
        .await;
    host.capture().await;
    host.sql("INSERT INTO tees VALUES (1, 7, 'a', NULL)").await;
    let mut looks = 0;
    while host.capture.run_once().await.unwrap() {
        looks += 1;
        assert!(looks < 20, "it tells itself of what it writes");
    }
    let mut reader = host.reader("g", OnLostOffset::Fail).await;
    assert_eq!(ids(&told(reader.as_mut()).await), [1]);
}
