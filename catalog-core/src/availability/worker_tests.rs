use stockade_change_feed::{Offset, Position, Timestamp, TopicPartition};
use stockade_inventory_core::inventory_updates;

use super::*;
use crate::availability::cache::{CacheEntry, CacheRead, Coverage};
use crate::availability::marks::PartitionMark;
use crate::availability::testing::{Mode, ScriptedCache, changed, fill, sku};

fn record(partition: u32, offset: u128, message: stockade_change_feed::Message) -> Record {
    let position = Position {
        partition: TopicPartition::new(inventory_updates(), partition),
        offset: Offset(offset),
        timestamp: Timestamp::EPOCH,
    };
    Record::new(position)
        .with_key(message.key)
        .with_value(message.value)
        .with_headers(message.headers)
}

fn entry(offset: u128, changed: &StockChanged) -> Record {
    record(0, offset, changed.to_message())
}

fn heartbeat(partition: u32, offset: u128, millis: i64, partitions: u32) -> Record {
    let heartbeat = Heartbeat::new(0, Timestamp::from_millis(millis), partitions);
    let message = heartbeat.to_messages().remove(0);
    record(partition, offset, message)
}

fn worker() -> (Arc<ScriptedCache>, AvailabilityWorker) {
    let cache = Arc::new(ScriptedCache::new());
    (cache.clone(), AvailabilityWorker::new(cache))
}

fn begins(partition: u32, from: ReadFrom) -> Beginning {
    let partition = TopicPartition::new(inventory_updates(), partition);
    Beginning { partition, from }
}

async fn content(cache: &ScriptedCache) -> CacheRead {
    cache.inner.read(&[sku("tee")]).await.unwrap()
}

/// Partitions, and the milliseconds up to which they are complete.
async fn complete(cache: &ScriptedCache) -> Vec<(u32, i64)> {
    let marks = content(cache).await.marks.into_iter();
    let of = |mark: PartitionMark| Some((mark.partition, mark.complete?.complete_as_of));
    let marks = marks.filter_map(of);
    marks.map(|(number, at)| (number, at.as_millis())).collect()
}

async fn upto(cache: &ScriptedCache) -> Vec<(u32, u128)> {
    let marks = content(cache).await.marks.into_iter();
    marks.map(|mark| (mark.partition, mark.upto.0)).collect()
}

fn is_dead(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::DeadLetter { .. })
}

#[tokio::test]
async fn the_newest_entry_of_a_batch_is_stored_and_its_partitions_advance() {
    let (cache, worker) = worker();
    let ended = worker
        .handle(Batch::of(&[
            entry(3, &changed("tee", 3, 0, 3)),
            entry(4, &changed("tee", 2, 0, 2)),
            heartbeat(0, 5, 10, 2),
            heartbeat(1, 1, 11, 2),
            heartbeat(0, 6, 12, 2),
        ]))
        .await;
    assert!(
        ended.iter().all(|ended| *ended == Disposition::Done),
        "{ended:?}"
    );
    assert!(matches!(
        content(&cache).await.entries[0],
        Some(CacheEntry::Known { available: 3, .. })
    ));
    assert_eq!(complete(&cache).await, [(0, 12), (1, 11)]);
    assert_eq!(upto(&cache).await, [(0, 6), (1, 1)]);
}

#[tokio::test]
async fn an_unreachable_cache_blames_no_record_and_advances_nothing() {
    let (cache, worker) = worker();
    let batch = [entry(0, &changed("tee", 3, 0, 3)), heartbeat(0, 1, 10, 1)];
    for mode in [Mode::Fails, Mode::FailsToWrite] {
        cache.set(mode);
        for ended in worker.handle(Batch::of(&batch)).await {
            let pause = Duration::from_secs(7);
            assert!(
                matches!(ended, Disposition::Unavailable { retry_after, .. } if retry_after == pause),
                "{ended:?}"
            );
        }
        assert_eq!(content(&cache).await.marks, []);
    }
    cache.set(Mode::Works);
    worker.handle(Batch::of(&batch)).await;
    assert_eq!(complete(&cache).await, [(0, 10)]);
}

#[tokio::test]
async fn what_can_never_succeed_is_set_aside_and_nothing_else_with_it() {
    let (cache, worker) = worker();
    cache.inner.write(&[changed("mug", 1, 2, 1)]).await.unwrap();
    let garbage = stockade_change_feed::Message::keyed("tee", "{");
    let mut tombstone = stockade_change_feed::Message::keyed("tee", "");
    tombstone.value = None;
    let ended = worker
        .handle(Batch::of(&[
            record(0, 0, garbage),
            entry(1, &changed("mug", 9, 1, 99)),
            entry(2, &changed("tee", 3, 0, 3)),
            record(0, 3, tombstone),
            heartbeat(5, 1, 10, 5),
            heartbeat(4, 1, 10, 5),
        ]))
        .await;
    let dead: Vec<bool> = ended.iter().map(is_dead).collect();
    assert_eq!(dead, [true, true, false, false, true, false], "{ended:?}");
    assert!(content(&cache).await.entries[0].is_some());
    assert_eq!(complete(&cache).await, [(4, 10)]);
}

#[tokio::test]
async fn a_partition_with_a_record_that_cannot_be_read_is_complete_by_a_later_heartbeat() {
    let (cache, worker) = worker();
    let garbage = stockade_change_feed::Message::keyed("tee", "{");
    let ended = worker
        .handle(Batch::of(&[
            heartbeat(0, 1, 10, 2),
            heartbeat(1, 1, 10, 2),
            record(0, 2, garbage),
            heartbeat(0, 3, 20, 2),
            heartbeat(1, 2, 20, 2),
        ]))
        .await;
    let dead: Vec<bool> = ended.iter().map(is_dead).collect();
    assert_eq!(dead, [false, false, true, false, false]);
    assert_eq!(complete(&cache).await, [(0, 10), (1, 20)]);
    worker.handle(Batch::of(&[heartbeat(0, 4, 30, 2)])).await;
    assert_eq!(complete(&cache).await, [(0, 30), (1, 20)]);
}

#[tokio::test]
async fn a_heartbeat_of_an_older_epoch_is_set_aside() {
    let (cache, worker) = worker();
    let restored = Heartbeat::new(1, Timestamp::from_millis(5), 1).to_messages();
    let ended = worker
        .handle(Batch::of(&[record(0, 1, restored[0].clone())]))
        .await;
    assert_eq!(ended, [Disposition::Done]);
    let ended = worker.handle(Batch::of(&[heartbeat(0, 2, 10, 1)])).await;
    assert!(is_dead(&ended[0]), "{ended:?}");
    assert_eq!(complete(&cache).await, [(0, 5)]);
}

#[tokio::test]
async fn each_batch_follows_the_one_before() {
    let (cache, worker) = worker();
    let start = [begins(0, ReadFrom::Start)];
    let first = [heartbeat(0, 5, 10, 1)];
    worker
        .handle(Batch::of(&first).with_beginnings(&start))
        .await;
    fill(&cache.inner).await;
    let again = [heartbeat(0, 5, 10, 1), heartbeat(0, 8, 20, 1)];
    for batch in [&again[..], &again[..1], &[heartbeat(0, 9, 30, 1)]] {
        worker.handle(Batch::of(batch)).await;
        assert_eq!(content(&cache).await.coverage, Coverage::Filled);
    }
    assert_eq!(upto(&cache).await, [(0, 9)]);
    // What comes again does not make the worker forget how far the cache had come.
    let shortened = cache.inner.save();
    worker.handle(Batch::of(&[heartbeat(0, 12, 40, 1)])).await;
    worker.handle(Batch::of(&again)).await;
    cache.inner.restore(shortened);
    worker.handle(Batch::of(&[heartbeat(0, 13, 50, 1)])).await;
    assert_eq!(content(&cache).await.coverage, Coverage::Unfilled);
}

#[tokio::test]
async fn a_partition_that_is_given_to_a_worker_is_checked_at_once() {
    let (cache, first) = worker();
    let start = [begins(0, ReadFrom::Start), begins(1, ReadFrom::Start)];
    let batch = [heartbeat(0, 5, 10, 2), heartbeat(1, 5, 10, 2)];
    first
        .handle(Batch::of(&batch).with_beginnings(&start))
        .await;
    fill(&cache.inner).await;
    for (committed, coverage) in [(4, Coverage::Filled), (6, Coverage::Unfilled)] {
        let next = AvailabilityWorker::new(cache.clone());
        let given = [
            begins(0, ReadFrom::After(Offset(5))),
            begins(1, ReadFrom::After(Offset(committed))),
        ];
        let batch = [heartbeat(0, 6, 20, 2)];
        next.handle(Batch::of(&batch).with_beginnings(&given)).await;
        assert_eq!(content(&cache).await.coverage, coverage, "{committed}");
    }
}

#[tokio::test]
async fn a_partition_of_which_nobody_said_where_it_begins_is_not_trusted() {
    let (cache, worker) = worker();
    let batch = [heartbeat(0, 5, 10, 1)];
    worker
        .handle(Batch::of(&batch).with_beginnings(&[begins(0, ReadFrom::Start)]))
        .await;
    fill(&cache.inner).await;
    let other = AvailabilityWorker::new(cache.clone());
    other.handle(Batch::of(&[heartbeat(0, 6, 20, 1)])).await;
    assert_eq!(content(&cache).await.coverage, Coverage::Unfilled);
}

#[tokio::test]
async fn where_a_batch_was_not_applied_the_next_one_begins_before_it() {
    let (cache, worker) = worker();
    let start = [begins(0, ReadFrom::Start)];
    cache.set(Mode::Fails);
    let batch = [heartbeat(0, 5, 10, 1)];
    worker
        .handle(Batch::of(&batch).with_beginnings(&start))
        .await;
    cache.set(Mode::Works);
    worker.handle(Batch::of(&batch)).await;
    fill(&cache.inner).await;
    cache.set(Mode::FailsToWrite);
    worker.handle(Batch::of(&[heartbeat(0, 6, 20, 1)])).await;
    cache.set(Mode::Works);
    let batch = [heartbeat(0, 6, 20, 1), heartbeat(0, 7, 30, 1)];
    worker.handle(Batch::of(&batch)).await;
    assert_eq!(content(&cache).await.coverage, Coverage::Filled);
    assert_eq!(upto(&cache).await, [(0, 7)]);
}

#[tokio::test]
async fn stock_reaches_pages_through_the_log() {
    use stockade_change_feed::memory::MemoryFeed;
    use stockade_change_feed::{Consumer, Group, SystemClock};
    use stockade_inventory_core::memory::MemoryInventory;
    use stockade_inventory_core::workers::OutboxRelay;
    use stockade_inventory_core::{
        Adjustment, InventoryStore, OperationId, Quantity, Reason, StockChange,
    };

    use crate::availability::circuit::CircuitState;
    use crate::availability::page::{Origin, Stock};
    use crate::availability::{Availability, AvailabilityRefill};
    use crate::memory::MemoryAvailabilityCache;

    let clock = Arc::new(SystemClock::new());
    let inventory = Arc::new(MemoryInventory::new(clock.clone()));
    let feed = Arc::new(MemoryFeed::new(clock));
    let delivery = Adjustment::new(
        OperationId::new("delivery").unwrap(),
        sku("tee"),
        StockChange::Receive(Quantity::new(7).unwrap()),
        Reason::new("delivery").unwrap(),
    );
    let received = inventory.adjust(&[delivery]).await.unwrap().remove(0);
    received.unwrap();
    let relay = OutboxRelay::new(inventory.clone(), inventory.clone(), feed.clone());
    relay.pass().await.unwrap();

    let cache = Arc::new(MemoryAvailabilityCache::new());
    let worker = Arc::new(AvailabilityWorker::new(cache.clone()));
    let complete = async {
        let marks = || async { cache.read(&[]).await.unwrap().marks };
        while crate::complete_as_of(&marks().await).is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let refill = AvailabilityRefill::new(cache.clone(), inventory.clone());
        let filled = async {
            while cache.read(&[]).await.unwrap().coverage != Coverage::Filled {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        refill.run(filled).await;
    };
    let group = Group::new("availability").unwrap();
    let consumer = Consumer::new(feed, group, vec![inventory_updates()], worker);
    consumer.run(complete).await.unwrap();

    let page = Availability::new(cache, inventory).of(&[sku("tee")]).await;
    assert_eq!(page.circuit, CircuitState::Closed);
    let item = &page.items[0];
    assert_eq!(
        (item.stock, item.origin),
        (Stock::Available(7), Origin::Cache)
    );
}
