//! Captures the rows that were there before the slot.

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr};
use stockade_change_feed::debezium::{Change, Columns, Sequence};
use stockade_change_feed::{Message, Timestamp};
use tokio::sync::Notify;

use super::PostgresCapture;
use super::changes::{Captured, envelope};
use super::pgoutput::{Cell, Column};
use super::slot::{Page, State};
use super::table::{CapturedTable, quoted};
use super::worker::Topics;
use crate::error::{PostgresError, failed};

const OPERATION: &str = "read snapshot";

impl PostgresCapture {
    /// Appends all rows of the captured tables, and records that the snapshot is done: in one
    /// transaction and from one snapshot, so that a crash leaves nothing half done. Does nothing
    /// when another process captures too.
    pub(super) async fn snapshot(
        &self,
        connection: &mut PgConnection,
        state: State,
        progress: &Notify,
    ) -> Result<(), PostgresError> {
        let begun = self
            .begin(connection, "REPEATABLE READ", Some(state))
            .await?;
        let Some(mut transaction) = begun else {
            return Ok(());
        };
        let started = sqlx::query_as(
            "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint, \
             (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
        );
        let (lsn, micros): (i64, i64) = started
            .fetch_one(&mut *transaction)
            .await
            .map_err(failed(OPERATION))?;
        let sequence = Sequence {
            last_commit: None,
            lsn: Some(lsn.unsigned_abs()),
        };
        let read_at = Timestamp::from_micros(micros);
        let read = |table: &CapturedTable, after: Columns| {
            let key = table.key(&after);
            let value = envelope(table, Change::Read { after }, sequence, read_at);
            Message::keyed(key, value)
        };
        let mut topics = Topics::new();
        for table in &self.tables {
            let columns = open(&mut transaction, table).await?;
            let (mut page, mut last) = (Page::FIRST, false);
            while !last {
                let (rows, bytes) = fetch(&mut transaction, &columns, page).await?;
                last = rows.len() < page.rows;
                let rows = rows.into_iter();
                let rows = rows.map(|row| Captured::Row(table, read(table, row)));
                self.append(&mut transaction, &mut topics, rows.collect())
                    .await?;
                progress.notify_one();
                page = page.after(bytes);
            }
            let closed = sqlx::raw_sql("CLOSE snapshot").execute(&mut *transaction);
            closed.await.map_err(failed(OPERATION))?;
        }
        let schema = &self.feed.shared.schema;
        let done = schema.sql("UPDATE {schema}.captures SET snapshot_due = false WHERE slot = $1");
        let done = sqlx::query(done).bind(self.slot.as_str());
        let noted = done.execute(&mut *transaction).await;
        noted.map_err(failed(OPERATION))?;
        transaction.commit().await.map_err(failed(OPERATION))
    }
}

/// Opens a cursor over the rows of a table, and returns their columns.
async fn open(
    connection: &mut PgConnection,
    table: &CapturedTable,
) -> Result<Vec<Column>, PostgresError> {
    let columns = columns_of(connection, table).await?;
    let partitioned = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind = 'p')",
    );
    let partitioned = partitioned.bind(&table.schema).bind(&table.table);
    let partitioned = partitioned.fetch_one(&mut *connection).await;
    let partitioned: bool = partitioned.map_err(failed(OPERATION))?;
    // By its output function, as the slot prints it; a cast may print otherwise.
    let text = columns.iter().map(|column| {
        let name = quoted(&column.name);
        // A composite value with a null inside is not null, and yet `IS NOT NULL` is false.
        format!("CASE WHEN {name} IS DISTINCT FROM NULL THEN format('%s', {name}) END")
    });
    // Rows of tables that inherit from it are theirs; rows of partitions are its own.
    let declare = format!(
        "DECLARE snapshot NO SCROLL CURSOR FOR SELECT ARRAY[{}]::text[] FROM {} {}",
        text.collect::<Vec<_>>().join(", "),
        if partitioned { "" } else { "ONLY" },
        table.quoted(),
    );
    let declare = sqlx::raw_sql(AssertSqlSafe(declare).into_sql_str());
    let opened = declare.execute(connection).await;
    opened.map_err(failed(OPERATION))?;
    Ok(columns)
}

/// The next rows of the cursor, and their size in bytes.
async fn fetch(
    connection: &mut PgConnection,
    columns: &[Column],
    page: Page,
) -> Result<(Vec<Columns>, usize), PostgresError> {
    let fetch = AssertSqlSafe(format!("FETCH FORWARD {} FROM snapshot", page.rows));
    let rows = sqlx::query_scalar(fetch).fetch_all(connection).await;
    let rows: Vec<Vec<Option<String>>> = rows.map_err(failed(OPERATION))?;
    let bytes = rows.iter().flatten().flatten().map(String::len).sum();
    let row = |cells: Vec<Option<String>>| {
        let cells = columns.iter().zip(cells);
        cells.map(|(column, cell)| rendered(column, cell)).collect()
    };
    Ok((rows.into_iter().map(row).collect(), bytes))
}

fn rendered(column: &Column, text: Option<String>) -> (String, Value) {
    let cell = text.map_or(Cell::Null, Cell::Text);
    (column.name.clone(), super::values::render(column, cell))
}

/// The columns that a slot publishes.
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
