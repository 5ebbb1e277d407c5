//! What becomes of records when a record, a document or the index fails.

use stockade_change_feed::ManualClock;

use super::*;

#[tokio::test(start_paused = true)]
async fn records_are_unavailable_while_other_writers_keep_changing_the_document() {
    let (index, ingest) = setup().await;
    index.script([Fault::AlwaysConflicts]);
    let ended = ingest.handle(Batch::of(&[product(1)])).await;
    let [Disposition::Unavailable { reason, .. }] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("root:p"), "{reason}");
}

#[tokio::test]
async fn a_missing_outcome_leaves_all_documents_unknown() {
    let (index, ingest) = setup().await;
    index.script([Fault::OutcomeMissing]);
    let records = [product(1), variant("s", 2)];
    for ended in ingest.handle(Batch::of(&records)).await {
        let Disposition::Unavailable { reason, .. } = ended else {
            panic!("{ended:?}");
        };
        assert!(reason.contains("0 outcomes for 1 items"), "{reason}");
    }
    done(&ingest, &records).await;
}

#[tokio::test]
async fn deadlines_run_on_the_given_clock() {
    let (index, ingest) = setup().await;
    index.script([Fault::LoadHangs]);
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let ingest = ingest
        .with_clock(clock.clone())
        .with_timeout(Duration::from_secs(3600));
    let records = [product(1)];
    let mut handling = std::pin::pin!(ingest.handle(Batch::of(&records)));
    let waited = tokio::time::timeout(Duration::from_millis(20), &mut handling).await;
    assert!(
        waited.is_err(),
        "no time has passed on the clock: {waited:?}"
    );
    clock.advance(Duration::from_secs(3600));
    let ended = handling.await;
    assert!(
        matches!(&ended[..], [Disposition::Unavailable { .. }]),
        "{ended:?}"
    );
}

#[tokio::test]
async fn a_bad_record_is_dead_lettered_alone() {
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
async fn a_record_whose_document_is_refused_is_dead_lettered_alone() {
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
    let expected = "document root:p was refused: too large (2 rows, 0 of them deleted)";
    assert_eq!(reason, expected);
    assert_eq!(shown(&index, "sku").await, ["t"]);
}

#[tokio::test]
async fn a_refused_document_with_one_record_is_not_written_again() {
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
    // The load finds the document, so it is not written again.
    assert_eq!(index.written(), [root()]);
}

#[tokio::test(start_paused = true)]
async fn records_are_unavailable_while_the_index_is() {
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
async fn a_document_that_keeps_failing_does_not_block_others() {
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
async fn a_long_pause_is_left_to_the_consumer() {
    let (index, ingest) = setup().await;
    // The write of `t` conflicts with another writer. The write of `s` must wait.
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
async fn a_call_without_an_answer_times_out() {
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
async fn records_are_unavailable_while_their_document_can_not_be_loaded() {
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
async fn records_are_unavailable_until_the_generation_is_created() {
    let index = Arc::new(MemoryIndex::new());
    let ingest = Ingest::new(index, generation(), Projection::catalog()).unwrap();
    let ended = ingest.handle(Batch::of(&[product(1)])).await;
    let [Disposition::Unavailable { reason, .. }] = &ended[..] else {
        panic!("{ended:?}");
    };
    assert!(reason.contains("create it first"), "{reason}");
}
