//! The worker that captures.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sqlx::{Connection, PgConnection};
use stockade_change_feed::{Failure, FeedError, Message, Topic};
use tokio::sync::Notify;

use super::PostgresCapture;
use super::changes::{Captured, Changes};
use super::slot::{self, Page, SlotStatus, State};
use crate::error::{PostgresError, failed};
use crate::feed::records::Batch;
use crate::feed::topics::TopicEntry;
use crate::session::in_time;

const OPERATION: &str = "capture changes";
/// The pause of a process that waits for the lock, and after a failure.
const STANDBY: Duration = Duration::from_secs(1);
/// The slot is advanced after this many bytes without a captured change.
const IRRELEVANT: u64 = 1 << 20;
const REPORTED: Duration = Duration::from_secs(10);

impl PostgresCapture {
    /// Captures until `stop` is ready. A failure is logged and tried again.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let capturing = async {
            loop {
                if let Err(error) = self.lead().await {
                    tracing::warn!(slot = %self.slot, %error, "capturing changes failed");
                }
                tokio::time::sleep(STANDBY).await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = capturing => {}
        }
    }

    /// Captures one batch of the available changes, unless another process captures; returns
    /// whether there were changes. The first calls create the slot and take the snapshot.
    ///
    /// # Errors
    /// When the server can not be reached, or its settings do not allow the capture.
    pub async fn run_once(&self) -> Result<bool, PostgresError> {
        let mut leader = self.connect().await?;
        let captured = self.take_lead(&mut leader).await? && self.step(&mut leader).await?;
        leader.close().await.map_err(failed(OPERATION))?;
        Ok(captured)
    }

    /// Captures all rows again, after the records that are in the log now: for a reader that starts
    /// empty. Before the first snapshot it changes nothing.
    ///
    /// # Errors
    /// When the server can not be reached.
    pub async fn snapshot_again(&self) -> Result<(), PostgresError> {
        let due = "UPDATE {schema}.captures SET snapshot_due = true WHERE slot = $1";
        let due = sqlx::query(self.feed.shared.schema.sql(due)).bind(self.slot.as_str());
        self.feed.execute(OPERATION, due).await
    }

    /// The status of the slot; `None` when the slot does not exist yet.
    ///
    /// # Errors
    /// When the server can not be reached.
    pub async fn status(&self) -> Result<Option<SlotStatus>, PostgresError> {
        let slot = self.slot.as_str();
        let asking = async |connection: &mut PgConnection| slot::status(connection, slot).await;
        self.feed.shared.sessions.ask(OPERATION, asking).await
    }

    /// Takes the lock and captures while the connection lives, which holds the lock. Waits while
    /// another process has the lock.
    async fn lead(&self) -> Result<(), PostgresError> {
        let mut leader = self.connect().await?;
        while !self.take_lead(&mut leader).await? {
            tokio::time::sleep(STANDBY).await;
        }
        for problem in self.problems_on(&mut leader.connection).await? {
            tracing::error!(slot = %self.slot, "capture: {problem}");
        }
        loop {
            let started = Instant::now();
            if !self.step(&mut leader).await? {
                let rest = self.interval.max(started.elapsed() * 3);
                tokio::time::sleep(rest).await;
            }
        }
    }

    /// Opens a connection outside of the pool.
    async fn connect(&self) -> Result<Leader, PostgresError> {
        in_time(self.patience, OPERATION, self.connect_anew()).await
    }

    async fn connect_anew(&self) -> Result<Leader, PostgresError> {
        let mut connection = self.feed.shared.sessions.detached(OPERATION).await?;
        let patience = self.patience.as_millis();
        let settings = sqlx::AssertSqlSafe(format!(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; \
             SET extra_float_digits = 1; SET bytea_output = 'hex'; SET row_security = off; \
             SET statement_timeout = {patience}; \
             SET idle_in_transaction_session_timeout = {patience}"
        ));
        let set = sqlx::raw_sql(settings).execute(&mut connection).await;
        set.map_err(failed(OPERATION))?;
        Ok(Leader {
            connection,
            seen: 0,
            reported: None,
        })
    }

    /// Takes the lock, unless another process has it.
    async fn take_lead(&self, leader: &mut Leader) -> Result<bool, PostgresError> {
        let lock = "SELECT pg_try_advisory_lock(hashtextextended('stockade capture ' || $1, 0))";
        let lock = sqlx::query_scalar(lock).bind(self.slot.as_str());
        let locking = async {
            let locked = lock.fetch_one(&mut leader.connection).await;
            locked.map_err(failed(OPERATION))
        };
        in_time(self.patience, OPERATION, locking).await
    }

    /// Captures one batch, as long as it makes progress; returns whether there were changes.
    async fn step(&self, leader: &mut Leader) -> Result<bool, PostgresError> {
        let progress = Notify::new();
        let mut stepping = pin!(self.step_on(leader, &progress));
        loop {
            tokio::select! {
                biased;
                done = &mut stepping => return done,
                () = progress.notified() => {}
                () = tokio::time::sleep(self.patience) => {
                    return Err(Failure::timed_out(OPERATION, self.patience).into());
                }
            }
        }
    }

    async fn step_on(&self, leader: &mut Leader, progress: &Notify) -> Result<bool, PostgresError> {
        let connection = &mut leader.connection;
        let slot = self.slot.as_str();
        let status = slot::status(connection, slot).await?;
        let seen = self.state(connection).await?;
        let (Some(status), Some(state)) = (status.filter(|status| !status.is_lost()), seen) else {
            self.begin_anew(connection, seen).await?;
            return Ok(true);
        };
        self.report(&status, &mut leader.reported);
        if state.snapshot_due {
            self.snapshot(connection, state, progress).await?;
            self.feed.wake();
            return Ok(true);
        }
        if status.flushed <= leader.seen {
            return Ok(false);
        }
        let copied = self
            .copy(connection, state, status.flushed, progress)
            .await?;
        let Some((count, end)) = copied else {
            return Ok(false);
        };
        if count > 0 {
            self.feed.wake();
        }
        if count < u64::from(self.batch) {
            leader.seen = status.flushed;
        }
        let irrelevant = status.flushed.saturating_sub(status.confirmed) >= IRRELEVANT;
        match end {
            Some(end) => slot::advance(connection, slot, end).await?,
            None if irrelevant => slot::advance(connection, slot, status.flushed).await?,
            None => {}
        }
        Ok(count > 0)
    }

    /// Copies the changes up to `flushed` from the slot to the log, in one transaction. Returns how
    /// many messages there were, and the end of the last whole transaction; nothing when another
    /// process captures too.
    async fn copy(
        &self,
        connection: &mut PgConnection,
        state: State,
        flushed: u64,
        progress: &Notify,
    ) -> Result<Option<(u64, Option<u64>)>, PostgresError> {
        let failed = failed(OPERATION);
        let begun = self
            .begin(connection, "READ COMMITTED", Some(state))
            .await?;
        let Some(mut transaction) = begun else {
            return Ok(None);
        };
        let (slot, publication) = (self.slot.as_str(), self.publication.as_str());
        let peek = slot::peek(slot, publication, flushed, self.batch);
        let peeked = sqlx::raw_sql(peek).execute(&mut *transaction).await;
        peeked.map_err(failed)?;
        let mut changes = Changes::new(&self.tables, state.captured);
        let (mut topics, mut page) = (Topics::new(), Page::FIRST);
        let (mut count, mut told, mut last) = (0, false, false);
        while !last {
            let fetch = sqlx::AssertSqlSafe(format!("FETCH FORWARD {} FROM changes", page.rows));
            let fetched = sqlx::query_as(fetch).fetch_all(&mut *transaction).await;
            let messages: Vec<(i64, Vec<u8>)> = fetched.map_err(failed)?;
            last = messages.len() < page.rows;
            count += messages.len() as u64;
            page = page.after(messages.iter().map(|(_, message)| message.len()).sum());
            let mut records = Vec::with_capacity(messages.len());
            for (lsn, message) in messages {
                let taken = changes.take(lsn.unsigned_abs(), Bytes::from(message));
                records.extend(taken.map_err(of_feed)?);
            }
            told |= !records.is_empty();
            self.append(&mut transaction, &mut topics, records).await?;
            progress.notify_one();
        }
        // What changes nothing for us is not noted: the note itself would be told, where all
        // tables are published, and had to be noted then.
        if told {
            let sql = "UPDATE {schema}.captures SET commit_lsn = $2 WHERE slot = $1";
            let noted = sqlx::query(self.feed.shared.schema.sql(sql))
                .bind(slot)
                .bind(i64::try_from(changes.captured).unwrap_or(i64::MAX));
            noted.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok(Some((count, changes.end)))
    }

    /// Appends records to their topics, in their order. Each topic is looked up once.
    pub(super) async fn append<'a>(
        &'a self,
        connection: &mut PgConnection,
        topics: &mut Topics<'a>,
        records: Vec<Captured<'a>>,
    ) -> Result<(), PostgresError> {
        if records.is_empty() {
            return Ok(());
        }
        if topics.is_empty() {
            for topic in self.topics() {
                topics.insert(topic, self.feed.topic_on(connection, topic).await?);
            }
        }
        let mut batches: BTreeMap<&Topic, Batch> = BTreeMap::new();
        for record in records {
            let (Captured::Row(table, _) | Captured::Truncated(table, _)) = &record;
            let topic = &table.topic;
            let Some(TopicEntry { partitions, .. }) = topics.get(topic).copied() else {
                continue;
            };
            let batch = batches.entry(topic).or_default();
            match record {
                Captured::Row(_, message) => {
                    let partition = message.partition_in(topic, partitions).map_err(of_feed)?;
                    batch.add(partition, message);
                }
                Captured::Truncated(_, value) => {
                    for partition in 0..partitions {
                        batch.add(partition, Message::to_partition(partition, value.clone()));
                    }
                }
            }
        }
        for (topic, batch) in batches {
            let count = batch.len();
            let appended = self
                .feed
                .append(connection, topics[topic].id, batch)
                .await?;
            if appended.len() < count {
                // Deleted since it was looked up.
                let topic = topic.clone();
                return Err(of_feed(FeedError::UnknownTopic { topic }));
            }
        }
        Ok(())
    }

    pub(super) fn topics(&self) -> Vec<&Topic> {
        let mut topics: Vec<&Topic> = self.tables.iter().map(|table| &table.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    fn report(&self, status: &SlotStatus, reported: &mut Option<Instant>) {
        if reported.is_some_and(|at| at.elapsed() < REPORTED) {
            return;
        }
        *reported = Some(Instant::now());
        let slot = self.slot.to_string();
        let gauge = |name: &'static str, bytes: u64| {
            metrics::gauge!(name, "slot" => slot.clone()).set(bytes as f64);
        };
        gauge("stockade_capture_retained_bytes", status.retained_bytes);
        gauge("stockade_capture_behind_bytes", status.behind_bytes);
        if status.wal_status != "reserved" {
            tracing::warn!(
                slot,
                wal_status = status.wal_status,
                retained = status.retained_bytes,
                "the slot holds back more of the write-ahead log than max_wal_size"
            );
        }
    }
}

/// The topics of the captured tables.
pub(super) type Topics<'a> = BTreeMap<&'a Topic, TopicEntry>;

/// The connection of a process that captures or waits for the lock.
struct Leader {
    connection: PgConnection,
    /// The position up to which there is nothing new.
    seen: u64,
    /// When the slot was last reported.
    reported: Option<Instant>,
}

impl Leader {
    /// Releases the lock at once, because the server may take a while to end the session.
    async fn close(mut self) -> Result<(), sqlx::Error> {
        let unlock = "SELECT pg_advisory_unlock_all()";
        sqlx::raw_sql(unlock).execute(&mut self.connection).await?;
        self.connection.close().await
    }
}

fn of_feed(error: FeedError) -> PostgresError {
    Failure::refused(OPERATION, error).into()
}
