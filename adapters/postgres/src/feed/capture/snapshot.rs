//! The rows that were there before the slot.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use stockade_change_feed::Timestamp;
use stockade_change_feed::debezium::{Change, Columns, Sequence};

use super::PostgresCapture;
use super::changes::{Captured, envelope};
use super::pgoutput::{Cell, Column};
use super::table::CapturedTable;
use crate::error::{PostgresError, failed};

const OPERATION: &str = "read snapshot";
/// Rows in hand.
const PAGE: usize = 200;

impl PostgresCapture {
    /// Appends all rows of the captured tables, and notes that they are there: in one transaction
    /// and of one snapshot, so that a crash leaves nothing half done.
    pub(super) async fn snapshot(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), PostgresError> {
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
        let begun = sqlx::raw_sql(begin).execute(&mut *connection).await;
        begun.map_err(failed(OPERATION))?;
        let started = sqlx::query_as(
            "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, \
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        );
        let (lsn, micros): (i64, i64) = started
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        let sequence = Sequence {
            last_commit: None,
            lsn: Some(lsn.unsigned_abs()),
        };
        let read_at = Timestamp::from_micros(micros);
        for table in &self.tables {
            self.snapshot_table(connection, table, sequence, read_at)
                .await?;
        }
        let done = self
            .feed
            .shared
            .schema
            .sql("UPDATE {schema}.captures SET snapshot_due = false WHERE slot = $1");
        let done = sqlx::query(done).bind(self.slot.as_str());
        done.execute(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        let committed = sqlx::raw_sql("COMMIT").execute(connection).await;
        committed.map(drop).map_err(failed(OPERATION))
    }

    async fn snapshot_table(
        &self,
        connection: &mut PgConnection,
        table: &CapturedTable,
        sequence: Sequence,
        read_at: Timestamp,
    ) -> Result<(), PostgresError> {
        let columns = columns_of(connection, table).await?;
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        // By its output function, as the slot prints it; a cast may print otherwise.
        let text = columns.iter().map(|column| {
            let name = quoted(&column.name);
            format!("CASE WHEN {name} IS NOT NULL THEN format('%s', {name}) END")
        });
        let declare = format!(
            "DECLARE snapshot NO SCROLL CURSOR FOR SELECT ARRAY[{}]::text[] FROM {}.{}",
            text.collect::<Vec<_>>().join(", "),
            quoted(&table.schema),
            quoted(&table.table),
        );
        let declare = sqlx::raw_sql(AssertSqlSafe(declare).into_sql_str());
        declare
            .execute(&mut *connection)
            .await
            .map_err(failed(OPERATION))?;
        loop {
            let fetch = AssertSqlSafe(format!("FETCH FORWARD {PAGE} FROM snapshot"));
            let page = sqlx::query_scalar(fetch).fetch_all(&mut *connection).await;
            let page: Vec<Vec<Option<String>>> = page.map_err(failed(OPERATION))?;
            let last = page.len() < PAGE;
            let captured = page.into_iter().map(|cells| {
                let cells = columns.iter().zip(cells);
                let after: Columns = cells.map(|(column, cell)| rendered(column, cell)).collect();
                let read = Change::Read {
                    after: after.clone(),
                };
                let value = envelope(table, read, sequence, read_at);
                Captured::Row(table, table.message(&after, value))
            });
            self.append(connection, captured.collect()).await?;
            if last {
                break;
            }
        }
        let closed = sqlx::raw_sql("CLOSE snapshot").execute(connection).await;
        closed.map(drop).map_err(failed(OPERATION))
    }
}

fn rendered(column: &Column, text: Option<String>) -> (String, Value) {
    let cell = text.map_or(Cell::Null, Cell::Text);
    (column.name.clone(), super::values::render(column, cell))
}

/// The columns that a slot would tell of.
async fn columns_of(
    connection: &mut PgConnection,
    table: &CapturedTable,
) -> Result<Vec<Column>, PostgresError> {
    let rows: Vec<(String, i64, i32)> = sqlx::query_as(
        "SELECT a.attname::text, a.atttypid::bigint, a.atttypmod FROM pg_attribute AS a \
         JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped \
             AND a.attgenerated = '' \
         ORDER BY a.attnum",
    )
    .bind(&table.schema)
    .bind(&table.table)
    .fetch_all(connection)
    .await
    .map_err(failed(OPERATION))?;
    let column = |(name, type_oid, type_modifier): (String, i64, i32)| Column {
        name,
        in_key: false,
        type_oid: u32::try_from(type_oid).unwrap_or_default(),
        type_modifier,
    };
    Ok(rows.into_iter().map(column).collect())
}
