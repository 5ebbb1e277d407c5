//! The edits that a row change makes to documents.

use serde_json::{Map, Value};
use stockade_change_feed::debezium::{Change, Columns, RowChange, UNAVAILABLE};

use super::view::fields_of;
use super::{Projection, RowVersionSource, Table, stock};
use crate::document::{DocumentId, Row, RowEdit, RowKey, RowVersion};
use crate::error::SearchError;

const NO_OLD_ROW: &str = "the old row does not have it; set REPLICA IDENTITY FULL on the table";
const NO_COLUMN: &str = "the row does not have it; check the projection";

/// Which row, and the root document that contains it.
#[derive(PartialEq)]
struct RowAddress {
    key: String,
    document: String,
}

impl Projection {
    /// The edits that a change makes to documents: none if the projection does not name its table,
    /// otherwise at least one.
    ///
    /// - A row is put into the document that it names. If the old row named another document or
    ///   had another key, it is deleted there at the same version.
    /// - A missing column counts as null, except for columns that hold the key, the document, the
    ///   version or the condition for showing the root.
    /// - If the version is a column, a deletion has the version of the deleted row. If it comes
    ///   from the log, a deletion has its own.
    /// - A truncation deletes all rows of its table up to its version. If the version is a column,
    ///   a truncation has none, and the index must be rebuilt.
    ///
    /// # Errors
    /// [`SearchError::BadRow`] naming the table and column, for a row that does not fit the
    /// projection, and if `REPLICA IDENTITY FULL` is missing.
    pub fn edits(&self, change: &RowChange) -> Result<Vec<RowEdit>, SearchError> {
        let Some(table) = self.table(&change.schema, &change.table) else {
            return Ok(Vec::new());
        };
        match &change.change {
            Change::Read { after } | Change::Create { after } => {
                self.put(table, change, None, after)
            }
            Change::Update { before, after } => {
                let before = match before {
                    Some(before) => Some(table.address(before, NO_OLD_ROW)?),
                    // Without the old row it is unknown whether a child has moved.
                    None if table.name != self.root.name => {
                        return Err(table.bad(&table.document, NO_OLD_ROW));
                    }
                    None => None,
                };
                self.put(table, change, before, after)
            }
            Change::Delete { before } => {
                let address = table.address(before, NO_OLD_ROW)?;
                let version = table.version_of(change, before, NO_OLD_ROW)?;
                let mut edits = vec![table.edit(&address, version, None)];
                if self.owns_stock(table) {
                    edits.push(stock::ownership(&table.name, address.key, version, None));
                }
                Ok(edits)
            }
            Change::Truncate => table.truncation(change).map(|edit| vec![edit]),
        }
    }

    fn put(
        &self,
        table: &Table,
        change: &RowChange,
        before: Option<RowAddress>,
        after: &Columns,
    ) -> Result<Vec<RowEdit>, SearchError> {
        let address = table.address(after, NO_COLUMN)?;
        let version = table.version_of(change, after, NO_COLUMN)?;
        let columns = self.used_columns(table, after)?;
        // A bad row is found before it is part of a document.
        fields_of(table, &columns, |_| true, &mut |_, _| {})?;

        let mut edits = vec![table.edit(&address, version, Some(columns))];
        let owns_stock = self.owns_stock(table);
        if let Some(before) = before.filter(|before| *before != address) {
            edits.push(table.edit(&before, version, None));
            if owns_stock && before.key != address.key {
                edits.push(stock::ownership(&table.name, before.key, version, None));
            }
        }
        if owns_stock {
            let owner = Some(address.document);
            edits.push(stock::ownership(&table.name, address.key, version, owner));
        }
        Ok(edits)
    }

    /// The columns of a row that the projection uses.
    fn used_columns(&self, table: &Table, row: &Columns) -> Result<Columns, SearchError> {
        let condition = self
            .shown_when
            .as_ref()
            .filter(|_| table.name == self.root.name);
        if let Some(condition) = condition
            && !row.contains_key(&condition.column)
        {
            let reason = "the row does not have it, but it decides whether the document is shown";
            return Err(table.bad(&condition.column, reason));
        }
        let names = table.columns.iter().map(|column| &column.name);
        let mut used = Map::new();
        for name in names.chain(condition.map(|condition| &condition.column)) {
            if let Some(value) = row.get(name) {
                table.check_available(name, value)?;
                used.insert(name.clone(), value.clone());
            }
        }
        Ok(used)
    }

    fn owns_stock(&self, table: &Table) -> bool {
        self.stock
            .as_ref()
            .is_some_and(|stock| stock.table == table.name)
    }
}

impl Table {
    /// The error for a row of this table.
    pub(super) fn bad(&self, column: &str, reason: impl Into<String>) -> SearchError {
        SearchError::BadRow {
            table: format!("{}.{}", self.schema, self.name),
            field: column.to_owned(),
            reason: reason.into(),
        }
    }

    /// The state of a row in its root document.
    fn edit(&self, address: &RowAddress, version: RowVersion, columns: Option<Columns>) -> RowEdit {
        RowEdit {
            document: DocumentId::Root(address.document.clone()),
            key: RowKey {
                table: self.name.clone(),
                key: address.key.clone(),
            },
            row: Row { version, columns },
        }
    }

    fn address(&self, row: &Columns, if_missing: &str) -> Result<RowAddress, SearchError> {
        Ok(RowAddress {
            key: self.text(row, &self.key, if_missing)?,
            document: self.text(row, &self.document, if_missing)?,
        })
    }

    fn text(&self, row: &Columns, column: &str, if_missing: &str) -> Result<String, SearchError> {
        let value = row
            .get(column)
            .ok_or_else(|| self.bad(column, if_missing))?;
        self.check_available(column, value)?;
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.bad(column, "it must be text or a number")),
        }
    }

    fn version_of(
        &self,
        change: &RowChange,
        row: &Columns,
        if_missing: &str,
    ) -> Result<RowVersion, SearchError> {
        match &self.version {
            RowVersionSource::LogSequence => self.log_version(change),
            RowVersionSource::Column(column) => {
                let value = row
                    .get(column)
                    .ok_or_else(|| self.bad(column, if_missing))?;
                let version = value.as_u64().map(RowVersion::from);
                version.ok_or_else(|| self.bad(column, "it must be an integer, 0 or above"))
            }
        }
    }

    fn log_version(&self, change: &RowChange) -> Result<RowVersion, SearchError> {
        if change.sequence.lsn.is_none() {
            let reason = "the change has none, but the rows of this table are ordered by it";
            return Err(self.bad("source.sequence", reason));
        }
        Ok(change.sequence.into())
    }

    fn truncation(&self, change: &RowChange) -> Result<RowEdit, SearchError> {
        if let RowVersionSource::Column(column) = &self.version {
            let reason = "a truncation has no version: rebuild the index, and delete rows instead";
            return Err(self.bad(column, reason));
        }
        Ok(RowEdit {
            document: DocumentId::Truncation(self.name.clone()),
            key: RowKey {
                table: self.name.clone(),
                key: String::new(),
            },
            row: Row {
                version: self.log_version(change)?,
                columns: None,
            },
        })
    }

    fn check_available(&self, column: &str, value: &Value) -> Result<(), SearchError> {
        if value.as_str() == Some(UNAVAILABLE) {
            let reason = "Debezium could not read it; set REPLICA IDENTITY FULL on the table";
            return Err(self.bad(column, reason));
        }
        Ok(())
    }
}
