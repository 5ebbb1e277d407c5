use stockade_change_feed::{Offset, Position, Timestamp, TopicPartition};
use stockade_inventory_core::inventory_updates;

use super::*;
use crate::availability::cache::{CacheEntry, CacheRead};
use crate::availability::testing::{Mode, ScriptedCache, changed, sku};

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

fn heartbeat(partition: u32, millis: i64, partitions: u32) -> Record {
    let heartbeat = Heartbeat::new(0, Timestamp::from_millis(millis), partitions);
    let message = heartbeat.to_messages().remove(0);
    record(partition, 99, message)
}

fn worker() -> (Arc<ScriptedCache>, AvailabilityWorker) {
    let cache = Arc::new(ScriptedCache::new());
    (cache.clone(), AvailabilityWorker::new(cache))
}

async fn content(cache: &ScriptedCache) -> CacheRead {
    cache.inner.read(&[sku("tee")]).await.unwrap()
}

fn is_dead(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::DeadLetter { .. })
}

#[tokio::test]
async fn the_newest_entry_of_a_batch_is_stored_and_then_the_marks() {
    let (cache, worker) = worker();
    let ended = worker
        .handle(Batch::of(&[
            entry(0, &changed("tee", 3, 0, 3)),
            entry(1, &changed("tee", 2, 0, 2)),
            heartbeat(0, 10, 2),
            heartbeat(1, 11, 2),
            heartbeat(0, 12, 2),
        ]))
        .await;
    assert!(
        ended.iter().all(|ended| *ended == Disposition::Done),
        "{ended:?}"
    );
    let content = content(&cache).await;
    assert!(matches!(
        content.entries[0],
        Some(CacheEntry::Known { available: 3, .. })
    ));
    let marks: Vec<_> = content
        .marks
        .iter()
        .map(|mark| (mark.partition, mark.complete_as_of.as_millis()))
        .collect();
    assert_eq!(marks, [(0, 12), (1, 11)]);
}

#[tokio::test]
async fn an_unreachable_cache_blames_no_record_and_marks_nothing() {
    let (cache, worker) = worker();
    let batch = [entry(0, &changed("tee", 3, 0, 3)), heartbeat(0, 10, 1)];
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
    assert_eq!(content(&cache).await.marks.len(), 1);
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
            heartbeat(5, 10, 5),
            heartbeat(4, 10, 5),
        ]))
        .await;
    let dead: Vec<bool> = ended.iter().map(is_dead).collect();
    assert_eq!(dead, [true, true, false, false, true, false], "{ended:?}");
    assert!(content(&cache).await.entries[0].is_some());
    assert_eq!(content(&cache).await.marks.len(), 1);
}

#[tokio::test]
async fn a_partition_that_lost_an_event_is_marked_by_a_later_heartbeat() {
    let (cache, worker) = worker();
    cache.inner.write(&[changed("mug", 1, 2, 1)]).await.unwrap();
    let garbage = || stockade_change_feed::Message::keyed("tee", "{");
    let marks = || async { content(&cache).await.marks };
    let ended = worker
        .handle(Batch::of(&[
            heartbeat(0, 10, 3),
            heartbeat(2, 10, 3),
            record(0, 100, garbage()),
            record(1, 100, changed("mug", 9, 1, 99).to_message()),
            heartbeat(0, 20, 3),
            heartbeat(1, 20, 3),
            heartbeat(2, 20, 3),
        ]))
        .await;
    let dead: Vec<bool> = ended.iter().map(is_dead).collect();
    assert_eq!(dead, [false, false, true, true, false, false, false]);
    let of = |marks: Vec<PartitionMark>| -> Vec<_> {
        let of = |mark: &PartitionMark| (mark.partition, mark.complete_as_of.as_millis());
        marks.iter().map(of).collect()
    };
    assert_eq!(of(marks().await), [(0, 10), (2, 20)]);
    worker
        .handle(Batch::of(&[heartbeat(0, 30, 3), heartbeat(1, 30, 3)]))
        .await;
    assert_eq!(of(marks().await), [(0, 30), (1, 30), (2, 20)]);
}

#[tokio::test]
async fn stock_reaches_pages_through_the_log_only() {
    use stockade_change_feed::memory::MemoryFeed;
    use stockade_change_feed::{Consumer, Group, SystemClock};
    use stockade_inventory_core::memory::MemoryInventory;
    use stockade_inventory_core::workers::OutboxRelay;
    use stockade_inventory_core::{
        Adjustment, InventoryStore, OperationId, Quantity, Reason, StockChange,
    };

    use crate::availability::Availability;
    use crate::availability::circuit::CircuitState;
    use crate::availability::page::{Origin, Stock};
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
