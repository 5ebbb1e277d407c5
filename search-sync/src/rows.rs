//! What a row change asks of documents.

use serde_json::{Map, Value};
use stockade_change_feed::debezium::{Change, Columns, RowChange, UNAVAILABLE};

use crate::document::{DocumentId, Row, RowKey, RowVersion};
use crate::error::SearchError;
use crate::projection::{Projection, RowVersionSource, Table};
use crate::stock;
use crate::view;

const MEND: &str = "the old row lacks it; set REPLICA IDENTITY FULL on the table";

/// The state of one row in one document, to be merged into it.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The document.
    pub document: DocumentId,
    /// The row in it.
    pub key: RowKey,
    /// The state.
    pub row: Row,
}

impl Edit {
    fn root(table: &Table, place: &Place, version: RowVersion, columns: Option<Columns>) -> Self {
        Self {
            document: DocumentId::Root(place.document.clone()),
            key: RowKey {
                table: table.name.clone(),
                key: place.key.clone(),
            },
            row: Row { version, columns },
        }
    }
}

/// Which row, and in which document it is.
#[derive(PartialEq)]
struct Place {
    key: String,
    document: String,
}

impl Projection {
    /// What a change asks of documents: nothing, where the projection does not name its table.
    ///
    /// - A row is put into the document that it names. One that named another document, or had
    ///   another key, is deleted there at the same version.
    /// - A column that the row lacks counts as null, save those that identify, place, order or
    ///   show it.
    /// - A deletion has the version of the row that it deletes where the version is a column,
    ///   and its own where it is the log's.
    /// - A truncation deletes all rows of its table up to its version. A table whose version is
    ///   a column gives it none: such an index has to be rebuilt.
    ///
    /// # Errors
    /// [`SearchError::BadRow`] naming the table and column, for a row that the projection can't
    /// take, and where `REPLICA IDENTITY FULL` is missing.
    pub fn edits(&self, change: &RowChange) -> Result<Vec<Edit>, SearchError> {
        let Some(table) = self.table(&change.schema, &change.table) else {
            return Ok(Vec::new());
        };
        match &change.change {
            Change::Read { after } | Change::Create { after } => {
                self.put(table, change, None, after)
            }
            Change::Update { before, after } => {
                let before = match before {
                    Some(before) => Some(table.place(before, MEND)?),
                    // Without the old row nobody knows whether a child has moved.
                    None if table.name != self.root.name => {
                        return Err(table.bad(&table.document, MEND));
                    }
                    None => None,
                };
                self.put(table, change, before, after)
            }
            Change::Delete { before } => {
                let place = table.place(before, MEND)?;
                let version = table.version_of(change, before, MEND)?;
                let mut edits = vec![Edit::root(table, &place, version, None)];
                if self.owns_stock(table) {
                    edits.push(stock::ownership(table, place.key, version, None));
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
        before: Option<Place>,
        after: &Columns,
    ) -> Result<Vec<Edit>, SearchError> {
        const LACKS: &str = "the row lacks it; check the projection";
        let place = table.place(after, LACKS)?;
        let version = table.version_of(change, after, LACKS)?;
        let columns = self.taken(table, after)?;
        view::check_row(table, &columns)?;

        let mut edits = vec![Edit::root(table, &place, version, Some(columns))];
        let stock = self.owns_stock(table);
        if let Some(before) = before.filter(|before| *before != place) {
            edits.push(Edit::root(table, &before, version, None));
            if stock && before.key != place.key {
                edits.push(stock::ownership(table, before.key, version, None));
            }
        }
        if stock {
            let owner = Some(place.document);
            edits.push(stock::ownership(table, place.key, version, owner));
        }
        Ok(edits)
    }

    /// The columns of a row that the projection takes.
    fn taken(&self, table: &Table, row: &Columns) -> Result<Columns, SearchError> {
        let condition = self
            .shown_when
            .as_ref()
            .filter(|_| table.name == self.root.name);
        if let Some(condition) = condition
            && !row.contains_key(&condition.column)
        {
            let reason = "the row lacks it, and it decides whether the document is shown";
            return Err(table.bad(&condition.column, reason));
        }
        let names = table.columns.iter().map(|column| &column.name);
        let mut taken = Map::new();
        for name in names.chain(condition.map(|condition| &condition.column)) {
            if let Some(value) = row.get(name) {
                table.check_available(name, value)?;
                taken.insert(name.clone(), value.clone());
            }
        }
        Ok(taken)
    }

    fn owns_stock(&self, table: &Table) -> bool {
        self.stock
            .as_ref()
            .is_some_and(|stock| stock.table == table.name)
    }
}

impl Table {
    /// Says what is wrong with a row of this table.
    pub(crate) fn bad(&self, column: &str, reason: impl Into<String>) -> SearchError {
        SearchError::BadRow {
            table: format!("{}.{}", self.schema, self.name),
            field: column.to_owned(),
            reason: reason.into(),
        }
    }

    fn place(&self, row: &Columns, lacks: &str) -> Result<Place, SearchError> {
        Ok(Place {
            key: self.text(row, &self.key, lacks)?,
            document: self.text(row, &self.document, lacks)?,
        })
    }

    fn text(&self, row: &Columns, column: &str, lacks: &str) -> Result<String, SearchError> {
        let value = row.get(column).ok_or_else(|| self.bad(column, lacks))?;
        self.check_available(column, value)?;
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(self.bad(column, "it has to be text or a number")),
        }
    }

    fn version_of(
        &self,
        change: &RowChange,
        row: &Columns,
        lacks: &str,
    ) -> Result<RowVersion, SearchError> {
        match &self.version {
            RowVersionSource::LogSequence => self.log_version(change),
            RowVersionSource::Column(column) => {
                let value = row.get(column).ok_or_else(|| self.bad(column, lacks))?;
                let version = value.as_u64().map(RowVersion::from);
                version.ok_or_else(|| self.bad(column, "it has to be an integer, 0 or above"))
            }
        }
    }

    fn log_version(&self, change: &RowChange) -> Result<RowVersion, SearchError> {
        if change.sequence.lsn.is_none() {
            let reason = "the change has none, and nothing else orders the rows of this table";
            return Err(self.bad("source.sequence", reason));
        }
        Ok(change.sequence.into())
    }

    fn truncation(&self, change: &RowChange) -> Result<Edit, SearchError> {
        if let RowVersionSource::Column(column) = &self.version {
            let reason = "a truncation has no version: rebuild the index, and delete rows instead";
            return Err(self.bad(column, reason));
        }
        Ok(Edit {
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
