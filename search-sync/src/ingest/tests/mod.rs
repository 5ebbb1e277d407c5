mod failures;
mod fixtures;
mod scripted;

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use stockade_change_feed::debezium::{Change, Columns, RowChange, Sequence, encode};
use stockade_change_feed::{Failure, Message, Offset, Position, Timestamp, TopicPartition};
use stockade_inventory_core::{Heartbeat, Sku, StockChanged, Version};

use self::fixtures::*;
use self::scripted::{Fault, Scripted};
use super::*;
use crate::document::Document;
use crate::index::{DocumentWrite, GenerationState, Loaded, SearchIndex};
use crate::memory::MemoryIndex;
use crate::query::SearchQuery;

#[tokio::test]
async fn rows_and_stock_become_documents_in_any_order() {
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for order in orders {
        let (index, ingest) = setup().await;
        let records = [product(1), variant("s", 2), stock("s", 5, 1)];
        for at in order {
            done(&ingest, &records[at..=at]).await;
        }
        assert_eq!(shown(&index, "in_stock").await, ["true"], "{order:?}");
        assert_eq!(shown(&index, "sku").await, ["s"], "{order:?}");
    }
    let (index, ingest) = setup().await;
    done(&ingest, &[stock("s", 5, 1), variant("s", 2), product(1)]).await;
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}

#[tokio::test]
async fn only_changes_are_written() {
    let (index, ingest) = setup().await;
    let records = [product(1), variant("s", 2), stock("s", 5, 1)];
    done(&ingest, &records).await;
    assert_eq!(index.written(), [sku("s"), root()]);
    done(&ingest, &records).await;
    assert_eq!(index.written(), []);
    // Until the availability changes, only the SKU keeps the event.
    done(&ingest, &[stock("s", 4, 2)]).await;
    assert_eq!(index.written(), [sku("s")]);
    done(&ingest, &[stock("s", 0, 3)]).await;
    assert_eq!(index.written(), [sku("s"), root()]);
    assert_eq!(shown(&index, "in_stock").await, ["false"]);
}

#[tokio::test]
async fn other_tables_heartbeats_and_tombstones_are_done() {
    let (index, ingest) = setup().await;
    let heartbeat = Heartbeat::new(0, Timestamp::EPOCH, 1)
        .to_messages()
        .remove(0);
    let tombstone = record("catalog", Message::keyed("k", Bytes::new()));
    let records = [
        change("orders", Change::Truncate),
        record("inventory_updates", heartbeat),
        tombstone.with_value(None),
    ];
    done(&ingest, &records).await;
    assert_eq!(index.written(), []);
}

#[tokio::test]
async fn stock_events_are_read_from_the_configured_topic() {
    let (index, ingest) = setup().await;
    let ingest = ingest.with_stock_topic(Topic::new("stock").unwrap());
    let version = Version::new(0, 1);
    let changed = StockChanged::new(Sku::new("s").unwrap(), 1, version, Timestamp::EPOCH);
    done(
        &ingest,
        &[
            product(1),
            variant("s", 2),
            record("stock", changed.to_message()),
        ],
    )
    .await;
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}

#[tokio::test]
async fn a_late_worker_does_not_undo_newer_changes() {
    let (index, ingest) = setup().await;
    let newest = [product(3), variant("s", 4), stock("s", 0, 9)];
    done(&ingest, &newest).await;
    done(&ingest, &[product(1), variant("s", 2), stock("s", 5, 8)]).await;
    assert_eq!(shown(&index, "title").await, ["Tee 3"]);
    assert_eq!(shown(&index, "in_stock").await, ["false"]);
}

#[tokio::test]
async fn a_conflict_is_merged_with_the_document_of_the_other_writer() {
    let (index, ingest) = setup().await;
    let other = self::ingest(&index);
    *index.rival.lock().unwrap() = Some((other, product(1)));
    done(&ingest, &[variant("s", 2)]).await;
    assert_eq!(shown(&index, "sku").await, ["s"]);
    // The same for the document of a SKU.
    let other = self::ingest(&index);
    *index.rival.lock().unwrap() = Some((other, variant("t", 3)));
    done(&ingest, &[stock("t", 1, 1)]).await;
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}

#[tokio::test(start_paused = true)]
async fn a_replay_completes_the_work_after_a_crash() {
    let last = [stock("s", 1, 1), variant("s", 2)];
    for (first, second) in [(&last[0], &last[1]), (&last[1], &last[0])] {
        let (index, ingest) = setup().await;
        done(&ingest, &[product(1), first.clone()]).await;
        index.script([Fault::HangsAtRoots]);
        let records = std::slice::from_ref(second);
        let crashed =
            tokio::time::timeout(Duration::from_secs(10), ingest.handle(Batch::of(records))).await;
        assert!(crashed.is_err());
        assert!(index.written().contains(&sku("s")));
        assert_ne!(shown(&index, "in_stock").await, ["true"]);
        done(&self::ingest(&index), records).await;
        assert_eq!(shown(&index, "in_stock").await, ["true"]);
    }
}

#[tokio::test]
async fn a_replay_does_not_restore_a_deleted_product() {
    let (index, ingest) = setup().await;
    let history = [product(1), variant("s", 2), stock("s", 1, 1)];
    done(&ingest, &history).await;
    done(&ingest, &[deleted("products", product_row(1))]).await;
    done(&ingest, &[deleted("variants", variant_row("s", "p", 2))]).await;
    for record in history.iter().chain(&[stock("s", 2, 2)]) {
        done(&ingest, std::slice::from_ref(record)).await;
        assert!(shown(&index, "title").await.is_empty());
    }
}

#[tokio::test]
async fn a_product_that_is_created_again_shows_only_newer_variants() {
    let (index, ingest) = setup().await;
    done(
        &ingest,
        &[product(1), variant("old", 2), stock("old", 1, 1)],
    )
    .await;
    done(&ingest, &[deleted("products", product_row(3)), product(5)]).await;
    assert_eq!(shown(&index, "sku").await, [""; 0]);
    assert_eq!(shown(&index, "in_stock").await, ["false"]);
    done(
        &ingest,
        &[variant("new", 6), stock("new", 1, 1), variant("old", 2)],
    )
    .await;
    assert_eq!(shown(&index, "sku").await, ["new"]);
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}

#[tokio::test]
async fn a_variant_that_moves_keeps_its_stock() {
    let (index, ingest) = setup().await;
    done(&ingest, &[product(1), variant("s", 2), stock("s", 1, 1)]).await;
    let away = Change::Update {
        before: Some(variant_row("s", "p", 2)),
        after: variant_row("s", "q", 3),
    };
    done(&ingest, &[change("variants", away)]).await;
    assert_eq!(shown(&index, "in_stock").await, ["false"]);
    let mut other = product_row(4);
    other.insert("product_id".to_owned(), json!("q"));
    done(
        &ingest,
        &[change("products", Change::Create { after: other })],
    )
    .await;
    assert_eq!(shown(&index, "in_stock").await, ["false", "true"]);
}

#[tokio::test]
async fn a_truncation_deletes_existing_rows_and_rows_that_arrive_late() {
    let projection = log_ordered();
    let index = Scripted::new(&projection).await;
    let ingest = Ingest::new(index.clone(), generation(), projection).unwrap();
    let ingest = ingest.with_bulk(NonZeroUsize::new(2).unwrap());
    let put = |id: &str, lsn| {
        let mut after = product_row(1);
        after.insert("product_id".to_owned(), json!(id));
        after.insert("title".to_owned(), json!(format!("{id} {lsn}")));
        change_at("products", Change::Create { after }, lsn)
    };
    let records: Vec<_> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|id| put(id, 2))
        .collect();
    done(&ingest, &records).await;
    assert_eq!(shown(&index, "title").await.len(), 5);
    assert_eq!(index.largest.load(Ordering::SeqCst), 2);
    // A newer row is kept.
    done(
        &ingest,
        &[put("e", 9), change_at("products", Change::Truncate, 5)],
    )
    .await;
    assert_eq!(shown(&index, "title").await, ["e 9"]);
    done(&ingest, &[put("a", 4), put("f", 5), put("g", 6)]).await;
    assert_eq!(shown(&index, "title").await, ["e 9", "g 6"]);

    // A document that is written after the scan of another worker's truncation.
    let other = Ingest::new(index.clone(), generation(), log_ordered()).unwrap();
    let truncation = change_at("products", Change::Truncate, 20);
    *index.rival.lock().unwrap() = Some((other, truncation));
    done(&ingest, &[put("h", 15)]).await;
    assert!(shown(&index, "title").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_workers_lose_nothing() {
    let (index, _) = setup().await;
    let records: Vec<_> = (0..12)
        .flat_map(|at| {
            let name = format!("s{at:02}");
            [
                variant(&name, 10 + at),
                stock(&name, at % 2, 1),
                product(1 + at),
            ]
        })
        .collect();
    let workers: Vec<_> = (0..6)
        .map(|worker| {
            let ingest = ingest(&index);
            let mut records = records.clone();
            tokio::spawn(async move {
                records.rotate_left(worker * 6);
                for bulk in records.chunks(worker + 1) {
                    let mut left = bulk.to_vec();
                    while !left.is_empty() {
                        let ended = ingest.handle(Batch::of(&left)).await;
                        let mut ended = ended.into_iter();
                        left.retain(|_| ended.next() != Some(Disposition::Done));
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(shown(&index, "title").await, ["Tee 12"]);
    assert_eq!(shown(&index, "sku").await.len(), 12);
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}
