//! The progress of a capture, as it is stored in the log.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, SqlSafeStr, Transaction};

use super::{PostgresCapture, slot};
use crate::error::{PostgresError, failed};

const OPERATION: &str = "begin capture";

/// The progress of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// All commits up to this position are in the log.
    pub(super) captured: u64,
    /// Whether the snapshot of the rows from before the slot is still missing.
    pub(super) snapshot_due: bool,
}

impl PostgresCapture {
    /// `None` when nothing was captured yet.
    pub(super) async fn state(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<State>, PostgresError> {
        let sql = "SELECT commit_lsn, snapshot_due FROM {schema}.captures WHERE slot = $1";
        self.read_state(connection, sql).await
    }

    async fn read_state(
        &self,
        connection: &mut PgConnection,
        sql: &str,
    ) -> Result<Option<State>, PostgresError> {
        let state = sqlx::query_as(self.feed.shared.schema.sql(sql)).bind(self.slot.as_str());
        let state = state.fetch_optional(connection).await;
        let state: Option<(i64, bool)> = state.map_err(failed(OPERATION))?;
        Ok(state.map(|(captured, snapshot_due)| State {
            captured: captured.unsigned_abs(),
            snapshot_due,
        }))
    }

    /// Begins a transaction if the state is still `seen`, and locks the state. `None` when another
    /// process captures too: a session may have lost its advisory lock without noticing.
    pub(super) async fn begin<'c>(
        &self,
        connection: &'c mut PgConnection,
        isolation: &str,
        seen: Option<State>,
    ) -> Result<Option<Transaction<'c, Postgres>>, PostgresError> {
        let begin = AssertSqlSafe(format!("BEGIN ISOLATION LEVEL {isolation}"));
        let begun = connection.begin_with(begin.into_sql_str()).await;
        let mut transaction = begun.map_err(failed(OPERATION))?;
        let sql =
            "SELECT commit_lsn, snapshot_due FROM {schema}.captures WHERE slot = $1 FOR UPDATE";
        let state = self.read_state(&mut transaction, sql).await?;
        if state == seen {
            return Ok(Some(transaction));
        }
        tracing::warn!(slot = %self.slot, "another process captures from this slot too");
        transaction.rollback().await.map_err(failed(OPERATION))?;
        Ok(None)
    }

    /// Creates the slot when it is missing or lost. If there was one before, changes between the
    /// two slots may be missing: all records are deleted, and the log continues at an offset that
    /// no reader has.
    pub(super) async fn begin_anew(
        &self,
        connection: &mut PgConnection,
        seen: Option<State>,
    ) -> Result<(), PostgresError> {
        let failed = failed(OPERATION);
        self.expect_publication(connection).await?;
        let topics = self.topics();
        for topic in &topics {
            self.feed.topic_on(connection, topic).await?;
        }
        let Some(mut transaction) = self.begin(connection, "READ COMMITTED", seen).await? else {
            return Ok(());
        };
        // Until the snapshot is there nothing was captured that could be continued.
        if seen.is_some_and(|state| !state.snapshot_due) {
            tracing::error!(slot = %self.slot, "the slot is lost: changes are missing, and groups \
                lose their offsets");
            let names: Vec<&str> = topics.iter().map(|topic| topic.as_str()).collect();
            let cut = self.feed.shared.schema.sql(
                "UPDATE {schema}.partitions AS p SET first = next + 1, next = next + 1 \
                 FROM {schema}.topics AS t \
                 WHERE t.name = ANY($1::text[]) AND p.topic_id = t.topic_id",
            );
            let cut = sqlx::query(cut).bind(names).execute(&mut *transaction);
            cut.await.map_err(failed)?;
        }
        // Before the slot, so that a crash in between is found to be a loss.
        let note = self.feed.shared.schema.sql(
            "INSERT INTO {schema}.captures (slot, commit_lsn, snapshot_due) \
             VALUES ($1, (pg_current_wal_flush_lsn() - '0/0')::bigint, true) \
             ON CONFLICT (slot) DO UPDATE \
             SET commit_lsn = excluded.commit_lsn, snapshot_due = true",
        );
        let note = sqlx::query(note).bind(self.slot.as_str());
        note.execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        slot::create(connection, self.slot.as_str()).await?;
        for topic in topics {
            self.feed.delete_all_forgotten(topic).await?;
        }
        Ok(())
    }
}
