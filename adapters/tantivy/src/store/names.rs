//! The tables of the database.

use redb::TableDefinition;

/// The name, the number and the projection of each generation.
pub(super) const GENERATIONS: TableDefinition<'_, &str, (u64, &str)> =
    TableDefinition::new("generations");
/// The active generation.
pub(super) const ACTIVE: TableDefinition<'_, (), &str> = TableDefinition::new("active");
/// The last revision, and the last number of a generation. No number is used twice.
pub(super) const LAST: TableDefinition<'_, &str, u64> = TableDefinition::new("last");

/// All ids of root documents are in this range.
pub(super) const ROOTS: (&str, &str) = ("root:", "root;");

/// A document's revision, its rows, and its view if it is shown.
type Stored<'a> = (u64, &'a str, Option<&'a str>);

/// The tables of one generation. Their names contain its number, so a generation that is created
/// again under an old name starts empty.
pub(super) struct Names {
    documents: String,
    changes: String,
}

impl Names {
    pub(super) fn of(number: u64) -> Self {
        Self {
            documents: format!("documents-{number}"),
            changes: format!("changes-{number}"),
        }
    }

    /// The documents by id.
    pub(super) fn documents(&self) -> TableDefinition<'_, &'static str, Stored<'static>> {
        TableDefinition::new(&self.documents)
    }

    /// The keys of the documents that the tantivy index must still apply, by revision. Each
    /// document is listed once.
    pub(super) fn changes(&self) -> TableDefinition<'_, u64, &'static str> {
        TableDefinition::new(&self.changes)
    }
}
