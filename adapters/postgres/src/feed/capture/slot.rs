//! The replication slot, and how far it is captured.

use sqlx::{AssertSqlSafe, Connection, PgConnection, Postgres, SqlSafeStr, SqlStr, Transaction};

use super::PostgresCapture;
use crate::error::{PostgresError, failed};

const READ: &str = "read slot";
const BEGIN: &str = "begin capture";

/// The state of a slot, above all how much of the write-ahead log it holds back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlotStatus {
    /// Bytes of the write-ahead log that the server keeps because of the slot.
    pub retained_bytes: u64,
    /// Bytes of the retained write-ahead log that are not captured yet.
    pub behind_bytes: u64,
    /// `reserved` is the good state. `extended` and `unreserved` mean beyond `max_wal_size`. `lost`
    /// means that the retained log was removed: see
    /// [`pg_replication_slots`](https://www.postgresql.org/docs/current/view-pg-replication-slots.html).
    pub wal_status: String,
    /// How many bytes can still be written until the slot is lost; `None` when
    /// `max_slot_wal_keep_size` sets no limit.
    pub safe_bytes: Option<u64>,
    /// The position up to which the write-ahead log is flushed.
    pub(super) flushed: u64,
    pub(super) confirmed: u64,
}

impl SlotStatus {
    /// Whether the slot lost changes, because their write-ahead log was removed.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.wal_status == "lost"
    }
}

/// The status of the slot; `None` when this database has no such slot.
pub(super) async fn status(
    connection: &mut PgConnection,
    slot: &str,
) -> Result<Option<SlotStatus>, PostgresError> {
    type Row = (i64, Option<i64>, Option<i64>, Option<String>, Option<i64>);
    let row: Option<Row> = sqlx::query_as(
        "SELECT (flushed - '0/0')::bigint, (confirmed_flush_lsn - '0/0')::bigint, \
             (flushed - restart_lsn)::bigint, wal_status, safe_wal_size \
         FROM pg_replication_slots, pg_current_wal_flush_lsn() AS flushed \
         WHERE slot_name = $1 AND database = current_database()",
    )
    .bind(slot)
    .fetch_optional(connection)
    .await
    .map_err(failed(READ))?;
    let size = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
    Ok(row.map(|(flushed, confirmed, retained, wal_status, safe)| {
        let flushed = size(flushed);
        let confirmed = confirmed.map_or(flushed, size);
        SlotStatus {
            retained_bytes: retained.map_or(0, size),
            behind_bytes: flushed.saturating_sub(confirmed),
            wal_status: wal_status.unwrap_or_else(|| "lost".to_owned()),
            safe_bytes: safe.map(size),
            flushed,
            confirmed,
        }
    }))
}

/// Creates the slot when it is missing or lost. Earlier changes are not captured.
pub(super) async fn create(connection: &mut PgConnection, slot: &str) -> Result<(), PostgresError> {
    let drop_lost = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots \
         WHERE slot_name = $1 AND database = current_database() AND wal_status = 'lost'";
    let create = "SELECT pg_create_logical_replication_slot($1, 'pgoutput') \
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots \
             WHERE slot_name = $1 AND database = current_database())";
    for sql in [drop_lost, create] {
        let done = sqlx::query(sql).bind(slot).execute(&mut *connection).await;
        done.map_err(failed("create slot"))?;
    }
    Ok(())
}

/// Allows the server to remove everything before `end`.
pub(super) async fn advance(
    connection: &mut PgConnection,
    slot: &str,
    end: u64,
) -> Result<(), PostgresError> {
    sqlx::query("SELECT pg_replication_slot_advance($1, '0/0'::pg_lsn + $2::bigint)")
        .bind(slot)
        .bind(i64::try_from(end).unwrap_or(i64::MAX))
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed("advance slot"))
}

/// Opens a cursor over about `changes` more changes, up to `end`, in whole transactions. The server
/// keeps changes that are not fetched yet in a temporary file.
pub(super) fn peek(slot: &str, publication: &str, end: u64, changes: u32) -> SqlStr {
    let (high, low) = (end >> 32, end & 0xffff_ffff);
    // Both names are checked to be letters, digits and underscores.
    let sql = format!(
        "DECLARE changes NO SCROLL CURSOR FOR SELECT (lsn - '0/0')::bigint, data \
         FROM pg_logical_slot_peek_binary_changes('{slot}', '{high:X}/{low:X}', {changes}, \
         'proto_version', '1', 'publication_names', '{publication}')"
    );
    AssertSqlSafe(sql).into_sql_str()
}

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
        let state: Option<(i64, bool)> = state.map_err(failed(BEGIN))?;
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
        let mut transaction = begun.map_err(failed(BEGIN))?;
        let sql =
            "SELECT commit_lsn, snapshot_due FROM {schema}.captures WHERE slot = $1 FOR UPDATE";
        let state = self.read_state(&mut transaction, sql).await?;
        if state == seen {
            return Ok(Some(transaction));
        }
        tracing::warn!(slot = %self.slot, "another process captures from this slot too");
        transaction.rollback().await.map_err(failed(BEGIN))?;
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
        let failed = failed(BEGIN);
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
        create(connection, self.slot.as_str()).await?;
        for topic in topics {
            self.feed.delete_all_forgotten(topic).await?;
        }
        Ok(())
    }
}

/// The number of rows that are fetched at once from a cursor: many when they are small, few when they
/// are large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) rows: usize,
}

impl Page {
    /// The most bytes that the fetched rows should have.
    const BYTES: usize = 4 << 20;
    const MOST: usize = 200;

    /// The first page, when the size of rows is unknown.
    pub(super) const FIRST: Self = Self { rows: 8 };

    /// The size of the page after one with this many bytes.
    pub(super) fn after(self, bytes: usize) -> Self {
        let each = bytes.div_ceil(self.rows).max(1);
        let rows = (Self::BYTES / each).clamp(1, Self::MOST);
        Self { rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_come_few_at_a_time() {
        let (small, large) = (100, 1 << 20);
        let mut page = Page::FIRST;
        for (size, rows) in [
            (small, 200),
            (large, 4),
            (Page::BYTES * 9, 1),
            (small, 200),
            (0, 200),
        ] {
            page = page.after(page.rows * size);
            assert_eq!(page.rows, rows, "after rows of {size} bytes");
        }
    }
}
