//! The messages of `pgoutput`, the decoding plugin that comes with Postgres, in version 1 of its
//! protocol.
//!
//! The format is in Postgres' manual, "Logical Replication Message Formats".

use bytes::{Buf, Bytes, TryGetError};
use stockade_change_feed::{FeedError, Timestamp};

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    Begin(Begin),
    Commit {
        end: u64,
    },
    Relation(Relation),
    Insert {
        relation: u32,
        new: Tuple,
    },
    Update {
        relation: u32,
        old: Option<Old>,
        new: Tuple,
    },
    Delete {
        relation: u32,
        old: Old,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// An origin, a type, or a message of `pg_logical_emit_message`.
    Other,
}

/// A transaction begins. Transactions arrive whole, in the order of their commits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Begin {
    /// The position of its commit in the write-ahead log.
    pub(super) commit: u64,
    pub(super) committed_at: Timestamp,
}

/// The definition of a table from now on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Relation {
    pub(super) id: u32,
    pub(super) schema: String,
    pub(super) table: String,
    pub(super) columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) name: String,
    /// Whether the column is part of the replica identity.
    pub(super) in_key: bool,
    pub(super) type_oid: u32,
    pub(super) type_modifier: i32,
}

/// A row before a change.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Old {
    pub(super) tuple: Tuple,
    /// The whole row, or only its key.
    pub(super) whole: bool,
}

pub(super) type Tuple = Vec<Cell>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    /// A TOASTed value that did not change. With `REPLICA IDENTITY FULL` the old row has it.
    Unchanged,
    Text(String),
}

/// From 1970 to 2000, in microseconds.
const TO_2000: i64 = 946_684_800_000_000;

pub(super) fn decode(bytes: Bytes) -> Result<Message, FeedError> {
    let mut reader = Reader(bytes);
    let message = match reader.get("kind", Buf::try_get_u8)? {
        b'B' => {
            let commit = reader.get("final LSN", Buf::try_get_u64)?;
            let micros = reader
                .get("commit time", Buf::try_get_i64)?
                .saturating_add(TO_2000);
            Message::Begin(Begin {
                commit,
                committed_at: Timestamp::from_micros(micros),
            })
        }
        b'C' => {
            reader.get("flags", Buf::try_get_u8)?;
            reader.get("commit LSN", Buf::try_get_u64)?;
            let end = reader.get("end LSN", Buf::try_get_u64)?;
            Message::Commit { end }
        }
        b'R' => Message::Relation(reader.relation()?),
        b'I' => {
            let relation = reader.get("relation", Buf::try_get_u32)?;
            reader.expect(b'N')?;
            let new = reader.tuple()?;
            Message::Insert { relation, new }
        }
        b'U' => {
            let relation = reader.get("relation", Buf::try_get_u32)?;
            let old = match reader.get("tuple kind", Buf::try_get_u8)? {
                b'N' => None,
                kind => {
                    let old = reader.old(kind)?;
                    reader.expect(b'N')?;
                    Some(old)
                }
            };
            let new = reader.tuple()?;
            Message::Update { relation, old, new }
        }
        b'D' => {
            let relation = reader.get("relation", Buf::try_get_u32)?;
            let kind = reader.get("tuple kind", Buf::try_get_u8)?;
            let old = reader.old(kind)?;
            Message::Delete { relation, old }
        }
        b'T' => {
            let count = reader.get("count of relations", Buf::try_get_u32)?;
            reader.get("options", Buf::try_get_u8)?;
            let relations = (0..count).map(|_| reader.get("relation", Buf::try_get_u32));
            let relations = relations.collect::<Result<_, _>>()?;
            Message::Truncate { relations }
        }
        b'O' | b'Y' | b'M' => Message::Other,
        kind => {
            let kind = char::from(kind);
            return Err(malformed("kind", format!("{kind:?} is unknown")));
        }
    };
    Ok(message)
}

struct Reader(Bytes);

impl Reader {
    /// A field of fixed length.
    fn get<T>(
        &mut self,
        field: &str,
        get: impl FnOnce(&mut Bytes) -> Result<T, TryGetError>,
    ) -> Result<T, FeedError> {
        get(&mut self.0).map_err(|_| malformed(field, "the message is cut short".to_owned()))
    }

    fn expect(&mut self, kind: u8) -> Result<(), FeedError> {
        let found = self.get("tuple kind", Buf::try_get_u8)?;
        if found == kind {
            return Ok(());
        }
        let (found, kind) = (char::from(found), char::from(kind));
        let reason = format!("{found:?} instead of {kind:?}");
        Err(malformed("tuple kind", reason))
    }

    fn text(&mut self, field: &str, length: usize) -> Result<String, FeedError> {
        if length > self.0.len() {
            return Err(malformed(field, "the message is cut short".to_owned()));
        }
        let text = String::from_utf8(self.0.split_to(length).into());
        text.map_err(|_| malformed(field, "it is not UTF-8".to_owned()))
    }

    /// Text that ends with a 0.
    fn name(&mut self, field: &str) -> Result<String, FeedError> {
        let end = self.0.iter().position(|byte| *byte == 0);
        let end = end.ok_or_else(|| malformed(field, "the message is cut short".to_owned()))?;
        let name = self.text(field, end)?;
        self.0.advance(1);
        Ok(name)
    }

    fn relation(&mut self) -> Result<Relation, FeedError> {
        let id = self.get("relation", Buf::try_get_u32)?;
        let schema = self.name("schema")?;
        let table = self.name("table")?;
        self.get("replica identity", Buf::try_get_u8)?;
        let count = self.get("count of columns", Buf::try_get_u16)?;
        let columns = (0..count).map(|_| {
            Ok(Column {
                in_key: self.get("column flags", Buf::try_get_u8)? & 1 == 1,
                name: self.name("column")?,
                type_oid: self.get("column type", Buf::try_get_u32)?,
                type_modifier: self.get("type modifier", Buf::try_get_i32)?,
            })
        });
        Ok(Relation {
            id,
            columns: columns.collect::<Result<_, FeedError>>()?,
            schema,
            table,
        })
    }

    fn old(&mut self, kind: u8) -> Result<Old, FeedError> {
        let whole = match kind {
            b'O' => true,
            b'K' => false,
            kind => {
                let reason = format!("{:?} is neither O nor K", char::from(kind));
                return Err(malformed("tuple kind", reason));
            }
        };
        let tuple = self.tuple()?;
        Ok(Old { tuple, whole })
    }

    fn tuple(&mut self) -> Result<Tuple, FeedError> {
        let count = self.get("count of values", Buf::try_get_u16)?;
        (0..count).map(|_| self.cell()).collect()
    }

    fn cell(&mut self) -> Result<Cell, FeedError> {
        match self.get("value kind", Buf::try_get_u8)? {
            b'n' => Ok(Cell::Null),
            b'u' => Ok(Cell::Unchanged),
            b't' => {
                let length = self.get("length of a value", Buf::try_get_u32)?;
                self.text("value", length as usize).map(Cell::Text)
            }
            kind => {
                let reason = format!("{:?} is not one of n u t", char::from(kind));
                Err(malformed("value kind", reason))
            }
        }
    }
}

pub(super) fn malformed(field: &str, reason: String) -> FeedError {
    FeedError::Malformed {
        format: "pgoutput message",
        field: field.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELATION: &[u8] = b"R\0\0\0\x07shop\0tees\0f\0\x02\x01id\0\0\0\0\x14\xff\xff\xff\xff\0t\0\0\0\0\x19\xff\xff\xff\xff";
    const UPDATE: &[u8] = b"U\0\0\0\x07O\0\x02t\0\0\0\x011nN\0\x02t\0\0\0\x011u";

    #[test]
    fn messages_are_read() {
        let Message::Relation(relation) = decode(Bytes::from_static(RELATION)).unwrap() else {
            panic!("it is a relation");
        };
        assert_eq!((relation.id, relation.table.as_str()), (7, "tees"));
        let keys: Vec<bool> = relation
            .columns
            .iter()
            .map(|column| column.in_key)
            .collect();
        assert_eq!(keys, [true, false]);
        let one = Cell::Text("1".to_owned());
        let update = Message::Update {
            relation: 7,
            old: Some(Old {
                tuple: vec![one.clone(), Cell::Null],
                whole: true,
            }),
            new: vec![one, Cell::Unchanged],
        };
        assert_eq!(decode(Bytes::from_static(UPDATE)).unwrap(), update);
    }

    #[test]
    fn what_is_cut_or_unknown_is_malformed() {
        for message in [RELATION, UPDATE] {
            for end in 0..message.len() {
                let cut = decode(message.slice(end));
                assert!(matches!(cut, Err(FeedError::Malformed { .. })), "{cut:?}");
            }
        }
        assert!(decode(Bytes::from_static(b"?")).is_err());
        assert!(decode(Bytes::from_static(b"U\0\0\0\x07X")).is_err());
        assert!(decode(Bytes::from_static(b"I\0\0\0\x07N\0\x01t\0\0\0\x01\xff")).is_err());
    }

    trait Slice {
        fn slice(&self, end: usize) -> Bytes;
    }

    impl Slice for [u8] {
        fn slice(&self, end: usize) -> Bytes {
            Bytes::copy_from_slice(&self[..end])
        }
    }
}
