//! What keeps a capture from working, and the commands that fix it.

use sqlx::PgConnection;

use super::PostgresCapture;
use super::table::CapturedTable;
use crate::error::{PostgresError, failed};

const OPERATION: &str = "find problems";

/// A publication, as the server has it.
struct Publication {
    whole: bool,
    via_root: bool,
    publishes_log: bool,
}

/// A table and how it is published, as the server has it.
struct Table {
    partitioned: bool,
    partition: bool,
    /// The role of the capture, if it may not read the table.
    kept_out: Option<String>,
    /// The table and its partitions that do not publish whole old rows.
    not_whole: Vec<String>,
    listed: bool,
    published: bool,
    filter: Option<String>,
    left_out: Vec<String>,
}

impl PostgresCapture {
    /// Returns the settings of the server that keep this capture from working. Call it when a
    /// process starts. Each problem is a sentence, a colon and the fix, which is SQL if SQL can do
    /// it.
    ///
    /// # Errors
    /// When the server can not be reached.
    pub async fn problems(&self) -> Result<Vec<String>, PostgresError> {
        let asking = async |connection: &mut PgConnection| self.problems_on(connection).await;
        self.feed.shared.sessions.ask(OPERATION, asking).await
    }

    pub(super) async fn problems_on(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<String>, PostgresError> {
        let mut problems = self.problems_of_server(connection).await?;
        let publication = self.find_publication(connection).await?;
        match &publication {
            None => problems.push(self.no_publication()),
            Some(found) => problems.extend(self.problems_of_publication(found)),
        }
        for table in &self.tables {
            let found = find_table(connection, table, self.publication.as_str()).await?;
            let name = table.quoted();
            let Some(found) = found else {
                problems.push(format!("there is no table {name}: run its migrations"));
                continue;
            };
            for table in &found.not_whole {
                problems.push(format!(
                    "old rows are not published whole: ALTER TABLE {table} REPLICA IDENTITY FULL"
                ));
            }
            if let Some(role) = &found.kept_out {
                problems.push(format!(
                    "{role} may not read {name}: GRANT SELECT ON {name} TO {role}"
                ));
            }
            if let Some(publication) = &publication {
                problems.extend(self.problem_of_table(publication, &name, &found));
            }
        }
        Ok(problems)
    }

    async fn problems_of_server(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Vec<String>, PostgresError> {
        let failed = failed(OPERATION);
        let mut problems = Vec::new();
        let slot = &self.slot;
        let another: Option<(Option<String>, Option<String>)> = sqlx::query_as(
            "SELECT database::text, plugin::text FROM pg_replication_slots WHERE slot_name = $1 \
             AND (database IS DISTINCT FROM current_database() OR plugin <> 'pgoutput')",
        )
        .bind(slot.as_str())
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
        if let Some((database, plugin)) = another {
            let of = match (database, plugin) {
                (Some(database), Some(plugin)) => {
                    format!("belongs to database {database} and plugin {plugin}")
                }
                _ => "is a physical slot".to_owned(),
            };
            problems.push(format!(
                "slot {slot} {of}: give this capture another slot name"
            ));
        }
        let wal_level: String = sqlx::query_scalar("SELECT current_setting('wal_level')")
            .fetch_one(connection)
            .await
            .map_err(failed)?;
        if wal_level != "logical" {
            problems.push(format!(
                "wal_level is {wal_level}: set wal_level to logical and restart the server"
            ));
        }
        Ok(problems)
    }

    async fn find_publication(
        &self,
        connection: &mut PgConnection,
    ) -> Result<Option<Publication>, PostgresError> {
        let found = sqlx::query_as(
            "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate AS whole, \
                 pubviaroot AS via_root, EXISTS ( \
                     SELECT FROM pg_publication_tables AS t \
                     WHERE t.pubname = p.pubname AND t.schemaname = $2 AND t.tablename = 'records' \
                 ) AS publishes_log \
             FROM pg_publication AS p WHERE pubname = $1",
        );
        let found = found
            .bind(self.publication.as_str())
            .bind(self.feed.shared.schema.as_str());
        let found = found.fetch_optional(connection).await;
        let found: Option<(bool, bool, bool)> = found.map_err(failed(OPERATION))?;
        Ok(found.map(|(whole, via_root, publishes_log)| Publication {
            whole,
            via_root,
            publishes_log,
        }))
    }

    fn no_publication(&self) -> String {
        let (publication, create) = (&self.publication, self.create_publication());
        format!("there is no publication {publication}: {create}")
    }

    fn create_publication(&self) -> String {
        let tables: Vec<String> = self.tables.iter().map(CapturedTable::quoted).collect();
        let (publication, tables) = (&self.publication, tables.join(", "));
        format!("CREATE PUBLICATION {publication} FOR TABLE {tables}")
    }

    fn problems_of_publication(&self, found: &Publication) -> Vec<String> {
        let (publication, mut problems) = (&self.publication, Vec::new());
        if !found.whole {
            problems.push(format!(
                "{publication} does not publish every insert, update, delete and truncate: \
                 ALTER PUBLICATION {publication} \
                 SET (publish = 'insert, update, delete, truncate')"
            ));
        }
        if found.publishes_log {
            let create = self.create_publication();
            problems.push(format!(
                "{publication} publishes the log itself, so that each change is read twice: \
                 BEGIN; DROP PUBLICATION {publication}; {create}; COMMIT"
            ));
        }
        problems
    }

    /// How a table is published, if not as it should be.
    fn problem_of_table(
        &self,
        publication: &Publication,
        name: &str,
        table: &Table,
    ) -> Option<String> {
        let alter = format!("ALTER PUBLICATION {}", self.publication);
        let again = format!("BEGIN; {alter} DROP TABLE {name}; {alter} ADD TABLE {name}; COMMIT");
        if table.partitioned && table.listed && !publication.via_root {
            return Some(format!(
                "{name} publishes its changes as those of its partitions: \
                 {alter} SET (publish_via_partition_root = true)"
            ));
        }
        if table.partition && publication.via_root {
            return Some(format!(
                "{name} publishes its changes as those of its parent table: \
                 {alter} SET (publish_via_partition_root = false)"
            ));
        }
        if !table.published {
            return Some(format!("{name} is not published: {alter} ADD TABLE {name}"));
        }
        if let Some(filter) = &table.filter {
            return Some(format!("{name} publishes only rows with {filter}: {again}"));
        }
        if !table.left_out.is_empty() {
            let left_out = table.left_out.join(", ");
            return Some(format!(
                "{name} does not publish the columns {left_out}: {again}"
            ));
        }
        None
    }

    /// Checks that the publication exists. A slot can never be read past a change that was made
    /// while there was no publication.
    pub(super) async fn expect_publication(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), PostgresError> {
        if self.find_publication(connection).await?.is_some() {
            return Ok(());
        }
        Err(PostgresError::Invalid {
            field: "publication",
            value: self.publication.to_string(),
            reason: self.no_publication(),
        })
    }
}

/// None when the table does not exist. Columns that exist only since Postgres 15 are read as JSON.
async fn find_table(
    connection: &mut PgConnection,
    table: &CapturedTable,
    publication: &str,
) -> Result<Option<Table>, PostgresError> {
    let found = sqlx::query_as(
        "SELECT c.relkind = 'p' AS partitioned, c.relispartition AS partition, \
             CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') \
                 THEN quote_ident(current_user) END AS kept_out, \
             ARRAY( \
                 SELECT format('%I.%I', n.nspname, t.relname) \
                 FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace \
                 WHERE t.relreplident <> 'f' AND (t.oid = c.oid \
                     OR t.oid IN (SELECT relid FROM pg_partition_tree(c.oid))) \
                 ORDER BY 1 \
             ) AS not_whole, \
             coalesce(p.puballtables OR EXISTS ( \
                 SELECT FROM pg_publication_rel WHERE prpubid = p.oid AND prrelid = c.oid \
             ), false) AS listed, \
             told.row IS NOT NULL AS published, told.row ->> 'rowfilter' AS filter, \
             ARRAY( \
                 SELECT quote_ident(a.attname) FROM pg_attribute AS a \
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
                     AND a.attgenerated = '' AND NOT told.row -> 'attnames' ? a.attname::text \
                 ORDER BY a.attnum \
             ) AS left_out \
         FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         LEFT JOIN pg_publication AS p ON p.pubname = $3 \
         LEFT JOIN LATERAL ( \
             SELECT to_jsonb(t) AS row FROM pg_publication_tables AS t \
             WHERE t.pubname = p.pubname AND t.schemaname = $1 AND t.tablename = $2 \
         ) AS told ON true \
         WHERE n.nspname = $1 AND c.relname = $2",
    );
    let found = found
        .bind(&table.schema)
        .bind(&table.table)
        .bind(publication);
    type Row = (
        bool,
        bool,
        Option<String>,
        Vec<String>,
        bool,
        bool,
        Option<String>,
        Vec<String>,
    );
    let found = found.fetch_optional(connection).await;
    let found: Option<Row> = found.map_err(failed(OPERATION))?;
    Ok(found.map(|row| Table {
        partitioned: row.0,
        partition: row.1,
        kept_out: row.2,
        not_whole: row.3,
        listed: row.4,
        published: row.5,
        filter: row.6,
        left_out: row.7,
    }))
}
