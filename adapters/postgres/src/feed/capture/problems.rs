//! What keeps a capture from working.

use sqlx::PgConnection;

use super::PostgresCapture;
use crate::error::{PostgresError, failed};

const OPERATION: &str = "find problems";

impl PostgresCapture {
    /// What of the server's settings keeps this from working, and what mends it: to be asked when
    /// a process starts.
    ///
    /// # Errors
    /// Where the server can't be reached.
    pub async fn problems(&self) -> Result<Vec<String>, PostgresError> {
        let asking = async |connection: &mut PgConnection| self.problems_on(connection).await;
        self.feed.shared.sessions.ask(OPERATION, asking).await
    }

    pub(super) async fn problems_on(
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
}
