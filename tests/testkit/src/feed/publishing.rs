//! Where messages go, and the outcomes of publishing.

use std::collections::{BTreeMap, BTreeSet};

use stockade_change_feed::{FeedError, Message, Offset, Published, Route};

use super::PublisherHarness;
use super::reader::{number, publish};
use crate::together;

pub(super) async fn outcomes_are_in_order<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(3).await;
    let messages: Vec<_> = (0..60)
        .map(|n| Message::keyed(format!("key-{}", n % 7), "v"))
        .collect();
    let positions = publish(&h, &topic, messages).await;
    let mut last: BTreeMap<u32, Offset> = BTreeMap::new();
    for Published {
        partition: at,
        offset,
    } in positions
    {
        assert_eq!(at.topic, topic);
        assert!(
            at.partition < 3,
            "one of 3 partitions, counted from 0: {at}"
        );
        if let Some(before) = last.insert(at.partition, offset) {
            assert!(offset > before, "offsets of {at} rise in the order given");
        }
    }
}

pub(super) async fn equal_keys_share_a_partition<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(4).await;
    let keys = || (0..20).map(|n| format!("sku-{n}"));
    let partitions = async || {
        let messages = keys().map(|key| Message::keyed(key, "v")).collect();
        let positions = publish(&h, &topic, messages).await;
        positions
            .into_iter()
            .map(|at| at.partition.partition)
            .collect::<Vec<u32>>()
    };
    let first = partitions().await;
    assert_eq!(
        partitions().await,
        first,
        "equal keys went to other partitions"
    );
}

pub(super) async fn messages_without_a_key_share_a_partition<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(4).await;
    let without_key = |n: usize| Message {
        route: Route::Key,
        key: None,
        ..Message::to_partition(0, n.to_string())
    };
    let mut messages: Vec<Message> = (0..20).map(without_key).collect();
    messages.push(Message::keyed("", "v"));
    let positions = publish(&h, &topic, messages).await;
    let partitions: BTreeSet<u32> = positions.iter().map(|at| at.partition.partition).collect();
    assert_eq!(
        partitions.len(),
        1,
        "messages whose key decides, and that have none, go where the empty key goes; these went \
         to {partitions:?}"
    );
}

pub(super) async fn a_named_partition_is_kept<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(3).await;
    let mut keyed = Message::to_partition(2, "v");
    keyed.key = Some("key".into());
    let messages = vec![
        Message::to_partition(1, "v"),
        keyed,
        Message::to_partition(0, "v"),
    ];
    let positions = publish(&h, &topic, messages).await;
    let partitions: Vec<u32> = positions.iter().map(|at| at.partition.partition).collect();
    assert_eq!(partitions, [1, 2, 0]);
}

pub(super) async fn an_unknown_partition_is_refused_alone<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(2).await;
    let messages = vec![
        Message::to_partition(1, "v"),
        Message::to_partition(2, "v"),
        Message::to_partition(u32::MAX, "v"),
        Message::to_partition(0, "v"),
    ];
    let outcomes = h
        .publisher()
        .publish(&topic, messages)
        .await
        .expect("the call as a whole succeeds");
    let taken: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(taken, [true, false, false, true], "{outcomes:?}");
    match &outcomes[1] {
        Err(FeedError::UnknownPartition {
            partition: 2,
            partitions: 2,
            topic: told,
        }) => {
            assert_eq!(told, &topic);
        }
        other => panic!("there are 2 partitions, counted from 0, but number 2 returned {other:?}"),
    }
}

pub(super) async fn partitions_are_counted<H: PublisherHarness>(h: H) {
    for expected in [1, 3] {
        let topic = h.create_topic(expected).await;
        let partitions = h.publisher().partitions(&topic).await;
        let partitions = partitions.unwrap_or_else(|error| panic!("partitions failed: {error}"));
        assert_eq!(partitions, expected);
    }
}

pub(super) async fn publishing_nothing_has_no_outcomes<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(1).await;
    assert!(
        h.publisher()
            .publish(&topic, Vec::new())
            .await
            .expect("the call as a whole succeeds")
            .is_empty()
    );
}

pub(super) async fn concurrent_publishers_keep_their_order<H: PublisherHarness>(h: H) {
    let topic = h.create_topic(1).await;
    let h = std::sync::Arc::new(h);
    let published = together((0..16).map(|_| {
        let (h, topic) = (h.clone(), topic.clone());
        async move {
            let mut mine = number(h.as_ref(), &topic, 0, 0..10).await;
            mine.extend(number(h.as_ref(), &topic, 0, 10..20).await);
            mine.into_iter()
                .map(|at| at.offset)
                .collect::<Vec<Offset>>()
        }
    }))
    .await;
    for offsets in &published {
        assert!(
            offsets.is_sorted(),
            "a publisher's records are in its order: {offsets:?}"
        );
    }
    let distinct: BTreeSet<Offset> = published.iter().flatten().copied().collect();
    assert_eq!(
        distinct.len(),
        320,
        "places of 320 records of one partition"
    );
}
