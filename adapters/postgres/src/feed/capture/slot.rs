//! The replication slot itself.

use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr, SqlStr};

use crate::error::{PostgresError, failed};

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

const OPERATION: &str = "read slot";

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
    .map_err(failed(OPERATION))?;
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
