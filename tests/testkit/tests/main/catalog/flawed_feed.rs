//! Feeds of a catalogue's rows that lack something, and the cases that tell.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::CatalogStore;
use stockade_change_feed::debezium::{self, Change};
use stockade_change_feed::{
    Feed, FeedError, Group, PartitionLag, PollLimits, Polled, Position, Record, SubscribeOptions,
    Subscription, Topic,
};
use stockade_testkit::catalog::{CatalogHarness, ChangesHarness, changes_cases};
use stockade_testkit::{Absent, Harness};

use super::Memory;
use crate::fails::assert_fails_on;

/// What a feed lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lack {
    /// Nothing.
    Nothing,
    /// The old rows of updates, as without `REPLICA IDENTITY FULL`.
    OldRows,
    /// Deletions of variants, as with a cascade that is not replicated.
    Deletions,
}

impl Lack {
    /// What is left of a record.
    fn of(self, record: Record) -> Option<Record> {
        let mut row = debezium::decode(record.value.as_ref()).unwrap()?;
        match (self, &mut row.change) {
            (Self::OldRows, Change::Update { before, .. }) => *before = None,
            (Self::Deletions, Change::Delete { .. }) if row.table == "variants" => return None,
            _ => {}
        }
        Some(record.with_value(Some(debezium::encode(&row))))
    }
}

struct Lacking<T>(Lack, T);

#[async_trait]
impl Feed for Lacking<Arc<dyn Feed>> {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        let subscription = self.1.subscribe(group, topics, options).await?;
        Ok(Box::new(Lacking(self.0, subscription)))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        self.1.lag(group, topics).await
    }
}

#[async_trait]
impl Subscription for Lacking<Box<dyn Subscription>> {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let mut polled = self.1.poll(limits).await?;
        let records = polled.records.drain(..);
        polled.records = records.filter_map(|record| self.0.of(record)).collect();
        Ok(polled)
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        self.1.commit(finished).await
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        self.1.close().await
    }
}

struct Built {
    memory: Memory,
    lack: Lack,
}

impl Built {
    async fn with(lack: Lack) -> Result<Self, Absent> {
        let memory = Memory::open().await?;
        Ok(Self { memory, lack })
    }
}

#[async_trait]
impl Harness for Built {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(Lack::Nothing).await
    }
}

impl CatalogHarness for Built {
    fn store(&self) -> Arc<dyn CatalogStore> {
        self.memory.store()
    }
}

impl ChangesHarness for Built {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(Lacking(self.lack, self.memory.feed()))
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }
}

#[test]
fn lacks_old_rows() {
    assert_fails_on(
        &changes_cases(),
        || Built::with(Lack::OldRows),
        &[
            "inserts_updates_and_deletes_are_published",
            "versions_rise_when_a_deleted_product_is_put_again",
            "concurrent_changes_add_up_to_the_state",
            "many_changes_add_up_to_the_state",
            "only_changed_rows_are_published",
            "the_rows_equal_the_golden_file",
        ],
        "the old row of an update is whole",
    );
}

#[test]
fn lacks_deletions() {
    assert_fails_on(
        &changes_cases(),
        || Built::with(Lack::Deletions),
        &[
            "inserts_updates_and_deletes_are_published",
            "a_product_row_is_inserted_first_and_deleted_last",
            "versions_rise_when_a_deleted_product_is_put_again",
            "concurrent_changes_add_up_to_the_state",
            "many_changes_add_up_to_the_state",
            "only_changed_rows_are_published",
            "records_are_keyed_by_product",
            "the_rows_equal_the_golden_file",
        ],
        "does not add up to the catalogue",
    );
}
