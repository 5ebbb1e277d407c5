//! Logs in a file: closed and opened again, or killed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Feed, Offset, Publisher, SystemClock, Topic, TopicPartition};
use stockade_testkit::feed::{
    FeedHarness, PublisherHarness, RetentionHarness, crash_cases, retention_reopen_cases,
};
use stockade_testkit::{Absent, Crash, CrashCase, Harness, Outcome, Reopen, attempt_crash};
use tempfile::TempDir;

use super::file::{FileFeed, FileFlaw};
use crate::fails::assert_fails;

/// A log in a file. `FLAW` is a place in [`FLAWS`].
struct InFile<const FLAW: usize> {
    feed: FileFeed,
    topics: AtomicU32,
    /// None where the data belongs to a case that kills its processes.
    folder: Option<TempDir>,
}

const FLAWS: [FileFlaw; 4] = [
    FileFlaw::None,
    FileFlaw::PublishesLater,
    FileFlaw::CommitsLater,
    FileFlaw::ForgetsRemovals,
];
const SESSION: Duration = Duration::from_secs(2);

#[async_trait]
impl<const FLAW: usize> Harness for InFile<FLAW> {
    const BACKEND: &'static str = "file";

    async fn open() -> Result<Self, Absent> {
        let folder = tempfile::tempdir().unwrap();
        let opened = Self::open_at(folder.path().to_str().unwrap()).await;
        Ok(Self {
            folder: Some(folder),
            ..opened
        })
    }
}

#[async_trait]
impl<const FLAW: usize> PublisherHarness for InFile<FLAW> {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.feed.clone())
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        let number = self.topics.fetch_add(1, Ordering::Relaxed);
        let topic = Topic::new(format!("topic-{}-{number}", std::process::id())).unwrap();
        self.feed.create_topic(&topic, partitions).await;
        topic
    }
}

impl<const FLAW: usize> FeedHarness for InFile<FLAW> {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

#[async_trait]
impl<const FLAW: usize> RetentionHarness for InFile<FLAW> {
    async fn trim(&self, partition: &TopicPartition, before: Offset) {
        self.feed.trim(partition, before);
    }

    async fn recreate(&self, topic: &Topic) {
        self.feed.recreate(topic).await;
    }
}

#[async_trait]
impl<const FLAW: usize> Reopen for InFile<FLAW> {
    async fn reopen(self) -> Self {
        let folder = self.folder.unwrap();
        let Self { feed, .. } = Self::open_at(folder.path().to_str().unwrap()).await;
        let (topics, folder) = (self.topics, Some(folder));
        Self {
            feed,
            topics,
            folder,
        }
    }
}

#[async_trait]
impl<const FLAW: usize> Crash for InFile<FLAW> {
    type Data = TempDir;

    async fn create() -> Result<TempDir, Absent> {
        Ok(tempfile::tempdir().unwrap())
    }

    fn address(data: &TempDir) -> String {
        data.path().to_str().unwrap().to_owned()
    }

    async fn open_at(address: &str) -> Self {
        let file = Path::new(address).join("log");
        let clock = Arc::new(SystemClock::new());
        Self {
            feed: FileFeed::open(file, clock, SESSION, FLAWS[FLAW]).await,
            topics: AtomicU32::new(0),
            folder: None,
        }
    }
}

stockade_testkit::feed_reopen_conformance!(file_reopened, InFile<0>);
stockade_testkit::feed_retention_reopen_conformance!(file_retention_reopened, InFile<0>);
stockade_testkit::feed_crash_conformance!(in_a_file, InFile<0>);

/// Expects the crash case to fail for that reason, run for the `#[test]` at this path.
fn assert_crash_fails<const FLAW: usize>(
    cases: &[CrashCase<InFile<FLAW>>],
    phrase: &str,
    test: &str,
) {
    match attempt_crash(&cases[0], test) {
        Outcome::Failed(message) if message.contains(phrase) => {}
        other => panic!("{} should fail for {phrase:?}: {other:?}", cases[0].name()),
    }
}

#[test]
fn publishes_before_it_writes() {
    assert_crash_fails(
        &crash_cases::<InFile<1>>(),
        "returned before the kill, and it is lost, with",
        concat!(module_path!(), "::publishes_before_it_writes"),
    );
}

#[test]
fn commits_before_it_writes() {
    assert_crash_fails(
        &crash_cases::<InFile<2>>(),
        "is delivered again",
        concat!(module_path!(), "::commits_before_it_writes"),
    );
}

#[test]
fn removes_records_only_in_memory() {
    assert_fails(
        &retention_reopen_cases::<InFile<3>>(),
        &["removed_records_stay_removed"],
        "removed before the log was closed",
    );
}
