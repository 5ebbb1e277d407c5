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
use crate::index::{DocumentWrite, GenerationState, Loaded, Revision, WriteOutcome};
use crate::memory::MemoryIndex;
use crate::query::{SearchIndex, SearchQuery};

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
async fn what_is_known_or_changes_nothing_shown_is_not_written() {
    let (index, ingest) = setup().await;
    let records = [product(1), variant("s", 2), stock("s", 5, 1)];
    done(&ingest, &records).await;
    assert_eq!(index.written(), [sku("s"), root()]);
    done(&ingest, &records).await;
    assert_eq!(index.written(), []);
    // Only that it was seen is remembered, until availability flips.
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
async fn stock_comes_from_the_topic_that_is_named() {
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
async fn a_worker_thought_dead_can_not_undo_what_came_after_it() {
    let (index, ingest) = setup().await;
    let newest = [product(3), variant("s", 4), stock("s", 0, 9)];
    done(&ingest, &newest).await;
    done(&ingest, &[product(1), variant("s", 2), stock("s", 5, 8)]).await;
    assert_eq!(shown(&index, "title").await, ["Tee 3"]);
    assert_eq!(shown(&index, "in_stock").await, ["false"]);
}

#[tokio::test]
async fn a_conflict_is_merged_with_what_the_other_wrote() {
    let (index, ingest) = setup().await;
    let other = self::ingest(&index);
    *index.rival.lock().unwrap() = Some((other, product(1)));
    done(&ingest, &[variant("s", 2)]).await;
    assert_eq!(shown(&index, "sku").await, ["s"]);
    // The same on the SKU's own document.
    let other = self::ingest(&index);
    *index.rival.lock().unwrap() = Some((other, variant("t", 3)));
    done(&ingest, &[stock("t", 1, 1)]).await;
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}

#[tokio::test(start_paused = true)]
async fn conflicts_without_end_blame_no_record() {
    struct Never(MemoryIndex);

    #[async_trait]
    impl IndexWriter for Never {
        fn concurrency(&self) -> WriteConcurrency {
            WriteConcurrency::CompareAndSet
        }
        async fn create(&self, _: &Generation, _: &Projection) -> Result<(), SearchError> {
            Ok(())
        }
        async fn activate(&self, _: &Generation) -> Result<(), SearchError> {
            Ok(())
        }
        async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
            Ok(Vec::new())
        }
        async fn remove(&self, _: &Generation) -> Result<(), SearchError> {
            Ok(())
        }
        async fn load(
            &self,
            _: &Generation,
            ids: &[DocumentId],
        ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
            let absent =
                |id: &DocumentId| Ok(Loaded::new(Document::new(id.clone()), Revision::Absent));
            Ok(ids.iter().map(absent).collect())
        }
        async fn write(
            &self,
            _: &Generation,
            writes: Vec<DocumentWrite>,
        ) -> Result<Vec<WriteOutcome>, SearchError> {
            Ok(writes.iter().map(|_| WriteOutcome::Conflict).collect())
        }
        async fn scan(
            &self,
            generation: &Generation,
            after: Option<&DocumentId>,
            limit: usize,
        ) -> Result<Vec<DocumentId>, SearchError> {
            self.0.scan(generation, after, limit).await
        }
    }

    let never = Arc::new(Never(MemoryIndex::new()));
    let ingest = Ingest::new(never, generation(), Projection::catalog()).unwrap();
    let ended = ingest.handle(Batch::of(&[product(1)])).await;
    let [Disposition::Unavailable { reason, .. }] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("root:p"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_replay_completes_what_a_crash_left_half_done() {
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
async fn a_poisoned_record_is_dead_lettered_alone() {
    let (index, ingest) = setup().await;
    let mut unavailable = variant_row("u", "p", 7);
    unavailable.insert(
        "attributes".to_owned(),
        json!("__debezium_unavailable_value"),
    );
    let many: serde_json::Map<_, _> = (0..990).map(|at| (format!("a{at}"), json!(1))).collect();
    let mut wide = variant_row("w", "p", 8);
    wide.insert("attributes".to_owned(), json!(many));
    let mut wider = variant_row("x", "p", 9);
    wider.insert("options".to_owned(), json!(many));
    let create = |after| change("variants", Change::Create { after });
    let records = [
        product(1),
        raw("{"),
        create(unavailable),
        create(wide),
        create(wider),
        change("variants", Change::Truncate),
        variant("s", 2),
        record("inventory_updates", Message::keyed("s", "{}")),
        stock("s", 1, 1),
    ];
    let ended = ingest.handle(Batch::of(&records)).await;
    let reasons: Vec<_> = ended
        .iter()
        .map(|ended| match ended {
            Disposition::Done => "",
            Disposition::DeadLetter { reason } => reason,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "",
        "malformed",
        "REPLICA",
        "",
        "",
        "rebuild",
        "",
        "malformed",
        "",
    ];
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(
            reason.contains(expected),
            "{reason:?} should contain {expected:?}"
        );
        assert_eq!(reason.is_empty(), expected.is_empty(), "{reason}");
    }
    assert_eq!(shown(&index, "sku").await, ["s", "w", "x"]);
    assert_eq!(shown(&index, "in_stock").await, ["true"]);
}

#[tokio::test]
async fn what_the_index_refuses_is_dead_lettered_alone() {
    let (index, ingest) = setup().await;
    index.script([Fault::RefusesRow("s")]);
    let ended = ingest
        .handle(Batch::of(&[product(1), variant("s", 2), variant("t", 3)]))
        .await;
    let [
        Disposition::Done,
        Disposition::DeadLetter { reason },
        Disposition::Done,
    ] = &ended[..]
    else {
        panic!("{ended:?}");
    };
    let expected = "document root:p of 2 rows, 0 of them deleted and kept, was refused: too large";
    assert_eq!(reason, expected);
    assert_eq!(shown(&index, "sku").await, ["t"]);
}

#[tokio::test]
async fn a_refused_document_of_one_record_is_not_tried_again() {
    let (index, ingest) = setup().await;
    index.script([Fault::Refuses(root())]);
    let ended = ingest.handle(Batch::of(&[product(1)])).await;
    assert!(
        matches!(&ended[..], [Disposition::DeadLetter { .. }]),
        "{ended:?}"
    );
    assert_eq!(index.written(), [root()]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_is_resolved_by_loading() {
    let (index, ingest) = setup().await;
    index.script([Fault::ReplyLost, Fault::Busy]);
    done(&ingest, &[product(1)]).await;
    // It was there: nothing is written again.
    assert_eq!(index.written(), [root()]);
}

#[tokio::test(start_paused = true)]
async fn an_index_that_is_away_blames_no_record() {
    let (index, ingest) = setup().await;
    index.script([Fault::LoadFails]);
    let ended = ingest
        .handle(Batch::of(&[product(1), raw("{"), variant("s", 2)]))
        .await;
    let [first, Disposition::DeadLetter { .. }, last] = &ended[..] else {
        panic!("{ended:?}");
    };
    for ended in [first, last] {
        assert!(
            matches!(ended, Disposition::Unavailable { .. }),
            "{ended:?}"
        );
    }
    index.script(std::iter::repeat_with(|| Fault::Busy).take(8));
    let ended = ingest.handle(Batch::of(&[product(1)])).await;
    assert!(
        matches!(&ended[..], [Disposition::Unavailable { .. }]),
        "{ended:?}"
    );
    done(&ingest, &[product(1), variant("s", 2)]).await;
}

#[tokio::test(start_paused = true)]
async fn a_document_that_fails_for_long_blocks_no_other() {
    let (index, ingest) = setup().await;
    let busy = || Fault::BusyFor(sku("s"), Duration::from_millis(50));
    index.script(std::iter::repeat_with(busy).take(8));
    let records = [product(1), variant("s", 2), variant("t", 3)];
    let ended = ingest.handle(Batch::of(&records)).await;
    let [
        Disposition::Done,
        Disposition::Unavailable { reason, .. },
        Disposition::Done,
    ] = &ended[..]
    else {
        panic!("{ended:?}");
    };
    assert!(
        reason.contains("sku:s") && reason.contains("busy"),
        "{reason}"
    );
    assert_eq!(shown(&index, "sku").await, ["t"]);
    done(&ingest, &records[1..2]).await;
    assert_eq!(shown(&index, "sku").await, ["s", "t"]);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_has_to_wait_long_is_left_and_others_go_on() {
    let (index, ingest) = setup().await;
    // The write of `t` meets another writer's, and that of `s` is put off.
    let other = self::ingest(&index);
    *index.rival.lock().unwrap() = Some((other, stock("t", 1, 1)));
    let minute = Duration::from_secs(60);
    index.script([Fault::Applies, Fault::BusyFor(sku("s"), minute)]);
    let ended = ingest
        .handle(Batch::of(&[variant("s", 2), variant("t", 3)]))
        .await;
    let [
        Disposition::Unavailable { retry_after, .. },
        Disposition::Done,
    ] = &ended[..]
    else {
        panic!("{ended:?}");
    };
    assert_eq!(*retry_after, minute);
}

#[tokio::test(start_paused = true)]
async fn who_has_no_answer_in_time_is_unavailable() {
    for fault in [Fault::LoadHangs, Fault::HangsAtRoots] {
        let (index, ingest) = setup().await;
        index.script([fault]);
        let records = [product(1), raw("{")];
        let handled =
            tokio::time::timeout(Duration::from_secs(60), ingest.handle(Batch::of(&records))).await;
        let ended = handled.expect("a call has a deadline");
        let [
            Disposition::Unavailable { reason, .. },
            Disposition::DeadLetter { .. },
        ] = &ended[..]
        else {
            panic!("{ended:?}");
        };
        assert!(reason.contains("30s"), "{reason}");
        done(&ingest, &records[..1]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_document_is_dead_lettered_alone() {
    let records = [product(1), variant("s", 2), variant("t", 3)];
    let cases = [
        (sku("s"), [true, false, true]),
        (root(), [false, false, false]),
    ];
    for (id, good) in cases {
        let (index, ingest) = setup().await;
        let damaged = Document::decode(id.clone(), "{}").unwrap_err();
        *index.unloaded.lock().unwrap() = Some((id.clone(), damaged));
        let mut other = product_row(4);
        other.insert("product_id".to_owned(), json!("q"));
        let other = change("products", Change::Create { after: other });
        let mut ended = ingest
            .handle(Batch::of(
                &[&records[..], std::slice::from_ref(&other)].concat(),
            ))
            .await;
        assert_eq!(ended.pop(), Some(Disposition::Done), "another product");
        for (ended, good) in ended.iter().zip(good) {
            match ended {
                Disposition::Done => assert!(good),
                Disposition::DeadLetter { reason } => {
                    assert!(!good && reason.contains(&id.to_string()), "{reason}");
                }
                other => panic!("{id}: {other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_document_that_can_not_be_loaded_for_now_blames_no_record() {
    let (index, ingest) = setup().await;
    let away = Failure::timed_out("load", Duration::from_secs(1)).into();
    *index.unloaded.lock().unwrap() = Some((sku("s"), away));
    let records = [product(1), variant("s", 2), variant("t", 3)];
    let ended = ingest.handle(Batch::of(&records)).await;
    let [
        Disposition::Done,
        Disposition::Unavailable { reason, .. },
        Disposition::Done,
    ] = &ended[..]
    else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("sku:s"), "{reason}");
    *index.unloaded.lock().unwrap() = None;
    done(&ingest, &records).await;
    assert_eq!(shown(&index, "sku").await, ["s", "t"]);
}

#[tokio::test]
async fn a_generation_that_is_not_there_is_the_operators_to_mend() {
    let index = Arc::new(MemoryIndex::new());
    let ingest = Ingest::new(index, generation(), Projection::catalog()).unwrap();
    let ended = ingest.handle(Batch::of(&[product(1)])).await;
    let [Disposition::Unavailable { reason, .. }] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("create it first"), "{reason}");
}

#[tokio::test]
async fn a_deleted_product_is_not_resurrected_by_a_replay() {
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
async fn a_product_that_is_there_again_shows_only_newer_variants() {
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
async fn a_variant_that_moves_takes_its_stock_along() {
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
async fn a_truncation_deletes_what_was_there_and_what_comes_late() {
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
    // One that is newer stays.
    done(
        &ingest,
        &[put("e", 9), change_at("products", Change::Truncate, 5)],
    )
    .await;
    assert_eq!(shown(&index, "title").await, ["e 9"]);
    done(&ingest, &[put("a", 4), put("f", 5), put("g", 6)]).await;
    assert_eq!(shown(&index, "title").await, ["e 9", "g 6"]);

    // A document that is written while another worker truncates, after that one's scan.
    let other = Ingest::new(index.clone(), generation(), log_ordered()).unwrap();
    let truncation = change_at("products", Change::Truncate, 20);
    *index.rival.lock().unwrap() = Some((other, truncation));
    done(&ingest, &[put("h", 15)]).await;
    assert!(shown(&index, "title").await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_at_the_same_time_lose_nothing() {
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
