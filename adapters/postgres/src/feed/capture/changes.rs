//! Converts messages of the slot to records of the log.

use std::collections::HashMap;

use bytes::Bytes;
use stockade_change_feed::debezium::{self, Change, Columns, RowChange, Sequence};
use stockade_change_feed::{FeedError, Message, Timestamp};

use super::pgoutput::{self, Begin, Cell, Old, Relation, Tuple, malformed};
use super::table::CapturedTable;
use super::values::render;

/// The state of reading one batch of messages from the slot.
pub(super) struct Changes<'a> {
    tables: &'a [CapturedTable],
    relations: HashMap<u32, Relation>,
    transaction: Option<Begin>,
    /// All commits up to this position are captured.
    pub(super) captured: u64,
    /// The end of the last whole transaction.
    pub(super) end: Option<u64>,
}

/// A record to append.
pub(super) enum Captured<'a> {
    Row(&'a CapturedTable, Message),
    /// Appended to every partition, because a truncation has no key.
    Truncated(&'a CapturedTable, Bytes),
}

impl<'a> Changes<'a> {
    pub(super) fn new(tables: &'a [CapturedTable], captured: u64) -> Self {
        Self {
            tables,
            relations: HashMap::new(),
            transaction: None,
            captured,
            end: None,
        }
    }

    /// Adds the records of a message, unless it was captured before.
    pub(super) fn take(&mut self, lsn: u64, bytes: Bytes) -> Result<Vec<Captured<'a>>, FeedError> {
        let message = pgoutput::decode(bytes)?;
        match message {
            pgoutput::Message::Begin(begin) => self.transaction = Some(begin),
            pgoutput::Message::Commit { end } => {
                self.end = Some(end);
                let ended = self.transaction.take();
                let commit = ended.map_or(0, |begin| begin.commit);
                self.captured = self.captured.max(commit);
            }
            pgoutput::Message::Relation(relation) => {
                self.relations.insert(relation.id, relation);
            }
            pgoutput::Message::Other => {}
            change => return self.change(lsn, change),
        }
        Ok(Vec::new())
    }

    fn change(&self, lsn: u64, message: pgoutput::Message) -> Result<Vec<Captured<'a>>, FeedError> {
        let begin = self.transaction;
        let begin =
            begin.ok_or_else(|| malformed("kind", "no transaction has begun".to_owned()))?;
        if begin.commit <= self.captured {
            return Ok(Vec::new());
        }
        let told = |lsn: u64, table: &CapturedTable, change: Change| {
            let sequence = Sequence {
                last_commit: Some(self.captured),
                lsn: Some(lsn),
            };
            envelope(table, change, sequence, begin.committed_at)
        };
        let row_at = |lsn: u64, table: &'a CapturedTable, key: String, change| {
            Captured::Row(table, Message::keyed(key, told(lsn, table, change)))
        };
        let row = |table, key, change| vec![row_at(lsn, table, key, change)];
        Ok(match message {
            pgoutput::Message::Insert { relation, new } => {
                let Some((table, relation)) = self.table(relation)? else {
                    return Ok(Vec::new());
                };
                let after = columns(relation, new);
                row(table, table.key(&after), Change::Create { after })
            }
            pgoutput::Message::Update { relation, old, new } => {
                let Some((table, relation)) = self.table(relation)? else {
                    return Ok(Vec::new());
                };
                let new = with_unchanged(new, old.as_ref());
                let before = old.map(|old| old_columns(relation, old));
                let after = columns(relation, new);
                let key = table.key(&after);
                match before {
                    // As Debezium has it. Readers of the old key hear that its row is gone, just
                    // before the new one is there: no other change has the position in between.
                    Some(before) if table.changes_key(&before, &after) => {
                        let old_key = table.key(&before);
                        let gone = Change::Delete { before };
                        vec![
                            row_at(lsn.saturating_sub(1), table, old_key, gone),
                            row_at(lsn, table, key, Change::Create { after }),
                        ]
                    }
                    before => row(table, key, Change::Update { before, after }),
                }
            }
            pgoutput::Message::Delete { relation, old } => {
                let Some((table, relation)) = self.table(relation)? else {
                    return Ok(Vec::new());
                };
                let before = old_columns(relation, old);
                row(table, table.key(&before), Change::Delete { before })
            }
            pgoutput::Message::Truncate { relations } => {
                let mut truncated = Vec::new();
                for relation in relations {
                    if let Some((table, _)) = self.table(relation)?
                        && !table.deletes_before_truncate
                    {
                        truncated.push(Captured::Truncated(
                            table,
                            told(lsn, table, Change::Truncate),
                        ));
                    }
                }
                truncated
            }
            _ => Vec::new(),
        })
    }

    /// The table with that number, if it is captured.
    fn table(&self, id: u32) -> Result<Option<(&'a CapturedTable, &Relation)>, FeedError> {
        let relation = self.relations.get(&id);
        let relation =
            relation.ok_or_else(|| malformed("relation", format!("{id} was never described")))?;
        let same = |table: &&CapturedTable| {
            table.schema == relation.schema && table.table == relation.table
        };
        let table = self.tables.iter().find(same);
        Ok(table.map(|table| (table, relation)))
    }
}

pub(super) fn envelope(
    table: &CapturedTable,
    change: Change,
    sequence: Sequence,
    timestamp: Timestamp,
) -> Bytes {
    let (schema, table) = table.shown();
    debezium::encode(&RowChange {
        schema,
        table,
        change,
        sequence,
        timestamp,
    })
}

fn columns(relation: &Relation, tuple: Tuple) -> Columns {
    let cells = relation.columns.iter().zip(tuple);
    cells
        .map(|(column, cell)| (column.name.clone(), render(column, cell)))
        .collect()
}

/// A row after a change. What did not change and is stored outside of the row is only in the old
/// row, if that is whole.
fn with_unchanged(new: Tuple, old: Option<&Old>) -> Tuple {
    let Some(old) = old.filter(|old| old.whole) else {
        return new;
    };
    let cells = new.into_iter().zip(&old.tuple);
    cells
        .map(|(new, old)| match new {
            Cell::Unchanged => old.clone(),
            changed => changed,
        })
        .collect()
}

/// A row before a change; only the key if the whole row is not available.
fn old_columns(relation: &Relation, old: Old) -> Columns {
    let mut columns = columns(relation, old.tuple);
    if !old.whole {
        let keys = relation.columns.iter().filter(|column| column.in_key);
        let keys: Vec<&str> = keys.map(|column| column.name.as_str()).collect();
        columns.retain(|name, _| keys.contains(&name.as_str()));
    }
    columns
}

#[cfg(test)]
#[path = "changes_tests.rs"]
mod tests;
