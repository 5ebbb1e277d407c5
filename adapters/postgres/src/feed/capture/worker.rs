//! The worker that captures.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sqlx::{Connection, PgConnection};
use stockade_change_feed::{Cause, FeedError, Message, Route, Topic};

use super::PostgresCapture;
use super::changes::{Captured, Changes};
use super::slot::{self, SlotStatus};
use crate::error::{PostgresError, failed};
use crate::feed::publish::{Batch, route};

const OPERATION: &str = "capture changes";
/// How long others stand by, or a failure is waited out.
const STANDBY: Duration = Duration::from_secs(1);
/// Of that many bytes without a change for us, the slot lets go.
const IRRELEVANT: u64 = 1 << 20;
/// Messages in hand.
const PAGE: usize = 200;
const REPORTED: Duration = Duration::from_secs(10);

impl PostgresCapture {
    /// Captures until `stop` ends. What fails is logged and tried again.
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

    /// Captures one batch of what is there now, unless another process is at it; says whether
    /// there was something. The first calls create the slot and take the snapshot.
    ///
    /// # Errors
    /// Where the server can't be reached, or its settings do not allow to.
    pub async fn run_once(&self) -> Result<bool, PostgresError> {
        let mut leader = self.connect().await?;
        let captured = self.take_lead(&mut leader).await? && self.step(&mut leader).await?;
        leader.close().await.map_err(failed(OPERATION))?;
        Ok(captured)
    }

    /// Has all rows told once more, after what is in the log by now: for a reader that begins with
    /// nothing. Before the first snapshot it changes nothing.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn snapshot_again(&self) -> Result<(), PostgresError> {
        let due = "UPDATE {schema}.captures SET snapshot_due = true WHERE slot = $1";
        let due = sqlx::query(self.feed.shared.schema.sql(due)).bind(self.slot.as_str());
        self.feed.execute(OPERATION, due).await
    }

    /// How the slot is doing; `None` where there is none yet.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn status(&self) -> Result<Option<SlotStatus>, PostgresError> {
        let slot = self.slot.as_str();
        let asking = async |connection: &mut PgConnection| slot::status(connection, slot).await;
        self.feed.shared.sessions.ask(OPERATION, asking).await
    }

    /// What of the server's settings keeps this from working, and what mends it: to be asked when
    /// a process starts.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn problems(&self) -> Result<Vec<String>, PostgresError> {
        let asking = async |connection: &mut PgConnection| self.problems_on(connection).await;
        self.feed.shared.sessions.ask(OPERATION, asking).await
    }

    async fn problems_on(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<String>, PostgresError> {
        let wal_level: String = sqlx::query_scalar("SELECT current_setting('wal_level')")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        let mut problems = Vec::new();
        let elsewhere: Option<String> = sqlx::query_scalar(
            "SELECT database::text FROM pg_replication_slots \
             WHERE slot_name = $1 AND database <> current_database()",
        )
        .bind(self.slot.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
        if let Some(database) = elsewhere {
            let slot = &self.slot;
            problems.push(format!(
                "slot {slot} is of database {database}; name another one here"
            ));
        }
        if wal_level != "logical" {
            problems.push(format!(
                "wal_level is {wal_level}; set it to logical and restart the server"
            ));
        }
        for table in &self.tables {
            let (schema, name) = (&table.schema, &table.table);
            let found: Option<(bool, bool)> = sqlx::query_as(
                "SELECT c.relreplident = 'f', EXISTS (SELECT FROM pg_publication_tables AS p \
                     WHERE p.pubname = $3 AND p.schemaname = $1 AND p.tablename = $2) \
                 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
                 WHERE n.nspname = $1 AND c.relname = $2",
            )
            .bind(schema)
            .bind(name)
            .bind(self.publication.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
            let Some((full, published)) = found else {
                problems.push(format!(
                    "there is no table {schema}.{name}; migrate it first"
                ));
                continue;
            };
            if !full {
                problems.push(format!(
                    "old rows are not told whole: ALTER TABLE {schema}.{name} REPLICA IDENTITY FULL"
                ));
            }
            if !published {
                let publication = &self.publication;
                problems.push(format!(
                    "{schema}.{name} is not published: CREATE PUBLICATION {publication} FOR TABLE \
                     {schema}.{name}, or ALTER PUBLICATION {publication} ADD TABLE"
                ));
            }
        }
        Ok(problems)
    }

    /// Captures for as long as the connection lives, which holds the lock. Until it gets that, it
    /// stands by.
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

    /// A connection of its own, outside of the pool.
    async fn connect(&self) -> Result<Leader, PostgresError> {
        let pooled = self.feed.shared.sessions.connection(OPERATION).await?;
        let mut connection = pooled.detach();
        let patience = self.patience.as_millis();
        let settings = sqlx::AssertSqlSafe(format!(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; \
             SET extra_float_digits = 1; SET statement_timeout = {patience}; \
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

    /// Takes the lock, unless another has it.
    async fn take_lead(&self, leader: &mut Leader) -> Result<bool, PostgresError> {
        let lock = "SELECT pg_try_advisory_lock(hashtextextended('stockade capture ' || $1, 0))";
        let lock = sqlx::query_scalar(lock).bind(self.slot.as_str());
        let locked = lock.fetch_one(&mut leader.connection).await;
        locked.map_err(failed(OPERATION))
    }

    /// Captures one batch; says whether there was something.
    async fn step(&self, leader: &mut Leader) -> Result<bool, PostgresError> {
        let stepping = self.step_patiently(leader);
        let waited = tokio::time::timeout(self.patience, stepping).await;
        waited.unwrap_or(Err(PostgresError::Timeout {
            operation: OPERATION,
            after: self.patience,
        }))
    }

    async fn step_patiently(&self, leader: &mut Leader) -> Result<bool, PostgresError> {
        let connection = &mut leader.connection;
        let slot = self.slot.as_str();
        let status = slot::status(connection, slot).await?;
        let state = self.state(connection).await?;
        let (Some(status), Some((captured, snapshot_due))) =
            (status.filter(|status| !status.is_lost()), state)
        else {
            // Until the snapshot is there nothing was captured that could be continued.
            let again = state.is_some_and(|(_, snapshot_due)| !snapshot_due);
            self.begin_anew(connection, again).await?;
            return Ok(true);
        };
        self.report(&status, &mut leader.reported);
        if snapshot_due {
            self.snapshot(connection).await?;
            self.feed.wake();
            return Ok(true);
        }
        if status.flushed <= leader.seen {
            return Ok(false);
        }
        let (count, end) = self.copy(connection, captured, status.flushed).await?;
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

    /// Up to which commit everything is in the log, and whether the snapshot is still missing.
    async fn state(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<(u64, bool)>, PostgresError> {
        let sql = "SELECT commit_lsn, snapshot_due FROM {schema}.captures WHERE slot = $1";
        let state = sqlx::query_as(self.feed.shared.schema.sql(sql)).bind(self.slot.as_str());
        let state: Option<(i64, bool)> = state
            .fetch_optional(connection)
            .await
            .map_err(failed(OPERATION))?;
        Ok(state.map(|(lsn, snapshot_due)| (lsn.unsigned_abs(), snapshot_due)))
    }

    /// Creates the slot. Where there was one before, changes may be missing between the two: the
    /// log starts anew, past an offset that nobody has.
    async fn begin_anew(
        &self,
        connection: &mut PgConnection,
        again: bool,
    ) -> Result<(), PostgresError> {
        let schema = &self.feed.shared.schema;
        let failed = failed("begin capture");
        let topics = self.topics();
        if again {
            tracing::error!(slot = %self.slot, "the slot is lost: changes are missing, and groups \
                lose their offsets");
        }
        for topic in &topics {
            self.feed.topic(topic).await?;
        }
        let names: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
        let mut transaction = connection.begin().await.map_err(failed)?;
        if again {
            let cut = schema.sql(
                "WITH cut AS ( \
                     UPDATE {schema}.partitions AS p SET first = next + 1, next = next + 1 \
                     FROM {schema}.topics AS t WHERE t.name = ANY($1::text[]) \
                         AND p.topic_id = t.topic_id \
                     RETURNING p.topic_id \
                 ) DELETE FROM {schema}.records WHERE topic_id IN (SELECT topic_id FROM cut)",
            );
            let cut = sqlx::query(cut).bind(names).execute(&mut *transaction);
            cut.await.map_err(failed)?;
        }
        // Before the slot, so that a crash in between is found to be a loss.
        let note = schema.sql(
            "INSERT INTO {schema}.captures (slot, commit_lsn, snapshot_due) \
             VALUES ($1, (pg_current_wal_flush_lsn() - '0/0')::bigint, true) \
             ON CONFLICT (slot) DO UPDATE \
             SET commit_lsn = excluded.commit_lsn, snapshot_due = true",
        );
        let note = sqlx::query(note).bind(self.slot.as_str());
        note.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        slot::create(connection, self.slot.as_str()).await
    }

    /// Copies what the slot tells up to `flushed` into the log, in one transaction. Says how many
    /// messages there were, and where the last whole transaction ends.
    async fn copy(
        &self,
        connection: &mut PgConnection,
        captured: u64,
        flushed: u64,
    ) -> Result<(u64, Option<u64>), PostgresError> {
        let failed = failed(OPERATION);
        let mut transaction = connection.begin().await.map_err(failed)?;
        let (slot, publication) = (self.slot.as_str(), self.publication.as_str());
        let peek = slot::peek(slot, publication, flushed, self.batch);
        let peeked = sqlx::raw_sql(peek).execute(&mut *transaction).await;
        peeked.map_err(failed)?;
        let mut changes = Changes::new(&self.tables, captured);
        let mut count = 0;
        loop {
            let fetch = sqlx::AssertSqlSafe(format!("FETCH FORWARD {PAGE} FROM changes"));
            let page = sqlx::query_as(fetch).fetch_all(&mut *transaction).await;
            let page: Vec<(i64, Vec<u8>)> = page.map_err(failed)?;
            let read = page.len();
            count += read as u64;
            let mut records = Vec::with_capacity(read);
            for (lsn, message) in page {
                let taken = changes.take(lsn.unsigned_abs(), Bytes::from(message));
                records.extend(taken.map_err(of_feed)?);
            }
            self.append(&mut transaction, records).await?;
            if read < PAGE {
                break;
            }
        }
        if changes.captured > captured {
            let sql = "UPDATE {schema}.captures SET commit_lsn = $2 WHERE slot = $1";
            let noted = sqlx::query(self.feed.shared.schema.sql(sql))
                .bind(slot)
                .bind(i64::try_from(changes.captured).unwrap_or(i64::MAX));
            noted.execute(&mut *transaction).await.map_err(failed)?;
        }
        transaction.commit().await.map_err(failed)?;
        Ok((count, changes.end))
    }

    /// Appends records to their topics, in their order.
    pub(super) async fn append(
        &self,
        connection: &mut PgConnection,
        records: Vec<Captured<'_>>,
    ) -> Result<(), PostgresError> {
        let mut batches: BTreeMap<&Topic, (i64, u32, Batch)> = BTreeMap::new();
        if records.is_empty() {
            return Ok(());
        }
        for topic in self.tables.iter().map(|table| &table.topic) {
            if !batches.contains_key(topic) {
                let entry = self.feed.topic(topic).await?;
                batches.insert(topic, (entry.id, entry.partitions, Batch::default()));
            }
        }
        for record in records {
            let (Captured::Row(table, _) | Captured::Truncated(table, _)) = &record;
            let Some((_, partitions, batch)) = batches.get_mut(&table.topic) else {
                continue;
            };
            match record {
                Captured::Row(_, message) => batch.add(route(&message, *partitions), message),
                Captured::Truncated(_, value) => {
                    for partition in 0..*partitions {
                        let mut message = Message::to_partition(partition, value.clone());
                        message.route = Route::Partition(partition);
                        batch.add(partition, message);
                    }
                }
            }
        }
        for (topic, _, batch) in batches.into_values() {
            self.feed.append(connection, topic, batch).await?;
        }
        Ok(())
    }

    fn topics(&self) -> Vec<&Topic> {
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

/// Who captures, or stands by.
struct Leader {
    connection: PgConnection,
    /// Up to where nothing new is to be found.
    seen: u64,
    /// When the slot was last reported.
    reported: Option<Instant>,
}

impl Leader {
    /// Lets others capture at once: the server may take a while to end the session.
    async fn close(mut self) -> Result<(), sqlx::Error> {
        let unlock = "SELECT pg_advisory_unlock_all()";
        sqlx::raw_sql(unlock).execute(&mut self.connection).await?;
        self.connection.close().await
    }
}

fn of_feed(error: FeedError) -> PostgresError {
    PostgresError::Backend {
        operation: OPERATION,
        source: Cause::new(error),
    }
}
