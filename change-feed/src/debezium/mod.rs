//! Row changes in the envelopes that Debezium's Postgres connector writes as JSON.
//!
//! The format is the one documented for Debezium 3, "Debezium connector for PostgreSQL", data
//! change events: with the schema next to the payload, or without it, as [`encode`] writes it.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::error::FeedError;
use crate::text::shorten;
use crate::time::Timestamp;

/// The value that Debezium writes for a column that it could not read: an unchanged TOASTed value
/// of a table without `REPLICA IDENTITY FULL`.
pub const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// The columns of a row, as Debezium renders them. A JSONB value is a string that holds JSON.
pub type Columns = Map<String, Value>;

/// One change of one table.
///
/// Exhaustive on purpose: a publisher of changes must set every field.
#[derive(Clone, Debug, PartialEq)]
pub struct RowChange {
    /// The Postgres schema, such as `public`.
    pub schema: String,
    /// The table, without the schema.
    pub table: String,
    /// What happened, with the row before and after.
    pub change: Change,
    /// The place in the write-ahead log.
    pub sequence: Sequence,
    /// When it was committed, or read by a snapshot (`source.ts_us`, else `source.ts_ms`).
    pub timestamp: Timestamp,
}

/// What happened to a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A snapshot read it (`op` is `r`).
    Read {
        /// The row as it was read.
        after: Columns,
    },
    /// It was inserted (`c`).
    Create {
        /// The new row.
        after: Columns,
    },
    /// It was updated (`u`).
    Update {
        /// The old row, whole under `REPLICA IDENTITY FULL`, else absent or only its key.
        before: Option<Columns>,
        /// The new row.
        after: Columns,
    },
    /// It was deleted (`d`).
    Delete {
        /// The old row, whole under `REPLICA IDENTITY FULL`, else only its key.
        before: Columns,
    },
    /// All rows of the table were removed at once (`t`).
    Truncate,
}

/// `source.sequence`: orders the changes of a table that has no version of its own.
///
/// Compared by the last commit first (absent, as in a snapshot, is lowest), then by the change's
/// own LSN. The own LSN alone is not commit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence {
    /// The LSN of the last commit seen before this change; none in a snapshot.
    pub last_commit: Option<u64>,
    /// The LSN of the change itself.
    pub lsn: Option<u64>,
}

/// Decodes the value of a record. `None` for a record that is not about a row: a bare tombstone, or
/// a message written with `pg_logical_emit_message` (`m`).
///
/// Other fields are ignored, so that envelopes of other Debezium versions can be decoded too.
///
/// # Errors
/// [`FeedError::Malformed`], naming the field, for anything that is not an envelope.
pub fn decode(value: Option<&Bytes>) -> Result<Option<RowChange>, FeedError> {
    let Some(bytes) = value.filter(|bytes| !bytes.is_empty()) else {
        return Ok(None);
    };
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| malformed("value", error.to_string()))?;
    let Some(mut envelope) = envelope(value)? else {
        return Ok(None);
    };

    let op = envelope.required("op", string)?;
    let change = match op.as_str() {
        "r" => Change::Read {
            after: envelope.required("after", object)?,
        },
        "c" => Change::Create {
            after: envelope.required("after", object)?,
        },
        "u" => Change::Update {
            before: envelope.optional("before", object)?,
            after: envelope.required("after", object)?,
        },
        "d" => Change::Delete {
            before: envelope.required("before", object)?,
        },
        "t" => Change::Truncate,
        "m" => return Ok(None),
        _ => {
            return Err(malformed(
                "op",
                format!("{:?} is not one of r c u d t m", shorten(&op)),
            ));
        }
    };
    let mut source = Fields {
        at: "source.",
        fields: envelope.required("source", object)?,
    };
    Ok(Some(RowChange {
        schema: source.required("schema", string)?,
        table: source.required("table", string)?,
        change,
        sequence: sequence(&mut source)?,
        timestamp: timestamp(&mut source)?,
    }))
}

/// Encodes a change as an envelope without schema.
///
/// It has all the fields of Debezium 3.5. Fields that only a connector could fill are null.
/// `source.version` names the writer and its version of this format.
#[must_use]
pub fn encode(change: &RowChange) -> Bytes {
    let (op, before, after) = match &change.change {
        Change::Read { after } => ("r", None, Some(after)),
        Change::Create { after } => ("c", None, Some(after)),
        Change::Update { before, after } => ("u", before.as_ref(), Some(after)),
        Change::Delete { before } => ("d", Some(before), None),
        Change::Truncate => ("t", None, None),
    };
    let snapshot = if op == "r" { "true" } else { "false" };
    let Sequence { last_commit, lsn } = change.sequence;
    let text = |lsn: Option<u64>| lsn.map(|lsn| lsn.to_string());
    let (ms, us) = (change.timestamp.as_millis(), change.timestamp.as_micros());
    let ns = us.saturating_mul(1_000);
    let envelope = json!({
        "before": before,
        "after": after,
        "source": {
            "version": "stockade-1",
            "connector": "postgresql",
            "name": "stockade",
            "ts_ms": ms,
            "snapshot": snapshot,
            "db": "stockade",
            // A string that holds JSON: so does Debezium.
            "sequence": json!([text(last_commit), text(lsn)]).to_string(),
            "ts_us": us,
            "ts_ns": ns,
            "schema": change.schema,
            "table": change.table,
            "txId": null,
            "lsn": lsn,
            "xmin": null,
            "origin": null,
            "origin_lsn": null,
        },
        "transaction": null,
        "op": op,
        "ts_ms": ms,
        "ts_us": us,
        "ts_ns": ns,
    });
    Bytes::from(envelope.to_string())
}

/// The envelope itself: the payload when the value has a schema.
fn envelope(value: Value) -> Result<Option<Fields>, FeedError> {
    let mut fields = match value {
        Value::Null => return Ok(None),
        Value::Object(fields) => fields,
        other => return Err(expected("value", "an object", &other)),
    };
    let with_schema = !fields.contains_key("op") && fields.contains_key("payload");
    if !with_schema {
        return Ok(Some(Fields { at: "", fields }));
    }
    match fields.remove("payload") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(fields)) => Ok(Some(Fields { at: "", fields })),
        Some(other) => Err(expected("payload", "an object", &other)),
    }
}

fn sequence(source: &mut Fields) -> Result<Sequence, FeedError> {
    let Some(text) = source.optional("sequence", string)? else {
        // Before Debezium 1.6, and where a transform dropped it.
        let lsn = source
            .optional("lsn", integer)?
            .map(u64::try_from)
            .transpose();
        let lsn = lsn.map_err(|_| malformed("source.lsn", "it is negative".to_owned()))?;
        return Ok(Sequence {
            last_commit: None,
            lsn,
        });
    };
    let parsed = serde_json::from_str::<[Option<String>; 2]>(&text)
        .ok()
        .and_then(|lsns| {
            let [last_commit, lsn] = lsns.map(|lsn| lsn.map(|lsn| lsn.parse::<u64>()).transpose());
            Some(Sequence {
                last_commit: last_commit.ok()?,
                lsn: lsn.ok()?,
            })
        });
    parsed.ok_or_else(|| {
        let reason = format!(
            "{:?} is not a JSON array of two LSNs or nulls",
            shorten(&text)
        );
        malformed("source.sequence", reason)
    })
}

fn timestamp(source: &mut Fields) -> Result<Timestamp, FeedError> {
    if let Some(micros) = source.optional("ts_us", integer)? {
        let micros = i64::try_from(micros);
        let reason = || malformed("source.ts_us", "it is beyond 64 bits".to_owned());
        return micros.map(Timestamp::from_micros).map_err(|_| reason());
    }
    let millis = source.optional("ts_ms", integer)?.map(i64::try_from);
    match millis {
        Some(Ok(millis)) => Ok(Timestamp::from_millis(millis)),
        Some(Err(_)) => Err(malformed("source.ts_ms", "it is beyond 64 bits".to_owned())),
        None => Err(malformed(
            "source.ts_us",
            "it and ts_ms are missing".to_owned(),
        )),
    }
}

/// An object of the envelope, and its path.
struct Fields {
    at: &'static str,
    fields: Columns,
}

impl Fields {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.at)
    }

    /// A field, unless it is absent or null.
    fn optional<T>(&mut self, name: &str, read: Read<T>) -> Result<Option<T>, FeedError> {
        match self.fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match read(value) {
                Ok(value) => Ok(Some(value)),
                Err((what, found)) => Err(expected(self.path(name), what, &found)),
            },
        }
    }

    /// A field that is neither absent nor null.
    fn required<T>(&mut self, name: &str, read: Read<T>) -> Result<T, FeedError> {
        let value = self.optional(name, read)?;
        value.ok_or_else(|| malformed(self.path(name), "it is missing".to_owned()))
    }
}

/// Reads a value of one type, or returns the name of the type and the other value.
type Read<T> = fn(Value) -> Result<T, (&'static str, Value)>;

fn object(value: Value) -> Result<Columns, (&'static str, Value)> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(("an object", other)),
    }
}

fn string(value: Value) -> Result<String, (&'static str, Value)> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(("a string", other)),
    }
}

fn integer(value: Value) -> Result<i128, (&'static str, Value)> {
    let unsigned = || value.as_u64().map(i128::from);
    let integer = value.as_i64().map(i128::from).or_else(unsigned);
    integer.ok_or(("an integer", value))
}

fn expected(field: impl Into<String>, what: &str, found: &Value) -> FeedError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    malformed(field, format!("expected {what}, found {found}"))
}

fn malformed(field: impl Into<String>, reason: String) -> FeedError {
    FeedError::Malformed {
        format: "Debezium envelope",
        field: field.into(),
        reason,
    }
}

#[cfg(test)]
mod tests;
