//! The events that inventory publishes to the topic `inventory_updates`.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stockade_change_feed::{FeedError, Headers, Message, Record, Timestamp, Topic, TraceContext};

use crate::model::{Sku, SkuStock, Version};

/// The header that marks a heartbeat and carries its format's version.
const HEARTBEAT_HEADER: &str = "stockade-heartbeat";
const FORMAT: &str = "stock event";
/// The version of both formats. Readers refuse a newer version and ignore unknown fields.
const FORMAT_VERSION: u32 = 1;

/// The default topic of stock events, `inventory_updates`.
///
/// # Panics
/// Never: the constant is a valid name.
#[must_use]
pub fn inventory_updates() -> Topic {
    Topic::new("inventory_updates").expect("the constant follows the rule")
}

/// The availability of a SKU, over all its locations, has changed. The key of the record is the
/// SKU.
///
/// ```json
/// {"v":1,"sku":"tee-m","new_stock_count":49,"version":{"epoch":0,"number":7},"changed_at":1764000000000000}
/// ```
///
/// An event may be delivered more than once and out of order. Readers keep the highest [`Version`]
/// of each SKU, comparing the epoch first, and ignore the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StockChanged {
    /// The SKU.
    pub sku: Sku,
    /// Units that are not promised to a reservation, at all locations.
    pub new_stock_count: u64,
    /// The SKU's version.
    pub version: Version,
    /// The time of the change on the store's clock, in microseconds since 1970.
    pub changed_at: Timestamp,
    /// The trace of the request that made the change, if the store kept it. It is a header of the
    /// message, and not read from a record.
    #[serde(skip)]
    pub trace: Option<TraceContext>,
}

impl StockChanged {
    /// The availability of a SKU at a version.
    #[must_use]
    pub fn new(sku: Sku, new_stock_count: u64, version: Version, changed_at: Timestamp) -> Self {
        Self {
            sku,
            new_stock_count,
            version,
            changed_at,
            trace: None,
        }
    }

    /// Sets the trace of the request that made the change.
    #[must_use]
    pub fn with_trace(mut self, trace: Option<TraceContext>) -> Self {
        self.trace = trace;
        self
    }

    /// The message to publish.
    ///
    /// # Panics
    /// Never: the fields are numbers and strings.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let body = Versioned {
            v: FORMAT_VERSION,
            body: self,
        };
        let headers = self.trace.clone().map(TraceContext::into_headers);
        Message::keyed(self.sku.as_str().to_owned(), to_json(&body))
            .with_headers(headers.unwrap_or_default())
    }
}

impl From<&SkuStock> for StockChanged {
    fn from(stock: &SkuStock) -> Self {
        let sku = stock.sku().clone();
        Self::new(sku, stock.available(), stock.version(), stock.changed_at())
    }
}

/// Says that everything that was committed before a time is published in this partition.
///
/// A heartbeat in one partition says nothing about the others. So a reader waits for a heartbeat in
/// each of [`partitions`](Self::partitions). The oldest of them says how fresh the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The store's epoch. Readers ignore a heartbeat of an older epoch: it is about changes that
    /// the store has lost.
    pub epoch: u32,
    /// The time on the store's clock, in microseconds since 1970.
    pub complete_as_of: Timestamp,
    /// The number of partitions of the topic.
    pub partitions: u32,
}

impl Heartbeat {
    /// A heartbeat for each of `partitions` partitions.
    #[must_use]
    pub fn new(epoch: u32, complete_as_of: Timestamp, partitions: u32) -> Self {
        Self {
            epoch,
            complete_as_of,
            partitions,
        }
    }

    /// One message for each partition.
    ///
    /// # Panics
    /// Never: the fields are numbers.
    #[must_use]
    pub fn to_messages(&self) -> Vec<Message> {
        let body = Bytes::from(to_json(&Versioned {
            v: FORMAT_VERSION,
            body: self,
        }));
        let headers = Headers::new().with(HEARTBEAT_HEADER, FORMAT_VERSION.to_string());
        (0..self.partitions)
            .map(|partition| {
                Message::to_partition(partition, body.clone()).with_headers(headers.clone())
            })
            .collect()
    }
}

/// An event in a record of `inventory_updates`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StockEvent {
    /// The availability of a SKU changed.
    Changed(StockChanged),
    /// The partition is complete as of a time.
    Heartbeat(Heartbeat),
}

impl StockEvent {
    /// Reads a record. `None` for a record without a value.
    ///
    /// # Errors
    /// [`FeedError::Malformed`] for any other record that is not an event, and for a newer format.
    pub fn from_record(record: &Record) -> Result<Option<Self>, FeedError> {
        let Some(value) = &record.value else {
            return Ok(None);
        };
        let members = Members::read(value)?;
        Ok(Some(if record.headers.get(HEARTBEAT_HEADER).is_some() {
            Self::Heartbeat(Heartbeat {
                epoch: members.get("epoch")?,
                complete_as_of: members.get("complete_as_of")?,
                partitions: members.get("partitions")?,
            })
        } else {
            Self::Changed(StockChanged {
                sku: members.get("sku")?,
                new_stock_count: members.get("new_stock_count")?,
                version: members.get("version")?,
                changed_at: members.get("changed_at")?,
                trace: None,
            })
        }))
    }
}

#[derive(Serialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    body: T,
}

fn to_json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("numbers and strings always serialize")
}

/// The members of an event whose format is known.
struct Members(Map<String, Value>);

impl Members {
    fn read(bytes: &[u8]) -> Result<Self, FeedError> {
        let object = serde_json::from_slice(bytes).map(Self);
        let members = object.map_err(|error| malformed("value", error.to_string()))?;
        let version: u32 = members.get("v")?;
        if version > FORMAT_VERSION {
            let reason =
                format!("format {version} is newer than {FORMAT_VERSION}; upgrade this reader");
            return Err(malformed("v", reason));
        }
        Ok(members)
    }

    fn get<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, FeedError> {
        let value = self
            .0
            .get(name)
            .ok_or_else(|| malformed(name, "it is missing".to_owned()))?;
        T::deserialize(value).map_err(|error| malformed(name, error.to_string()))
    }
}

fn malformed(field: &str, reason: String) -> FeedError {
    FeedError::Malformed {
        format: FORMAT,
        field: field.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use stockade_change_feed::{Offset, Position, TopicPartition};

    use super::*;

    fn read(message: Message) -> Result<Option<StockEvent>, FeedError> {
        let partition = TopicPartition::new(inventory_updates(), 0);
        let record = Record::new(Position {
            partition,
            offset: Offset(0),
            timestamp: Timestamp::EPOCH,
        });
        StockEvent::from_record(
            &record
                .with_value(message.value)
                .with_headers(message.headers),
        )
    }

    fn changed() -> StockChanged {
        let sku = Sku::new("tee").unwrap();
        StockChanged::new(sku, 49, Version::new(1, 7), Timestamp::from_millis(5))
    }

    #[test]
    fn what_is_written_is_read() {
        let event = read(changed().to_message()).unwrap();
        assert_eq!(event, Some(StockEvent::Changed(changed())));
        let heartbeat = Heartbeat::new(2, Timestamp::from_millis(9), 3);
        let messages = heartbeat.to_messages();
        assert_eq!(messages.len(), 3);
        for message in messages {
            assert_eq!(
                read(message).unwrap(),
                Some(StockEvent::Heartbeat(heartbeat))
            );
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let good = to_json(&Versioned {
            v: FORMAT_VERSION,
            body: &changed(),
        });
        let good: Value = serde_json::from_slice(&good).unwrap();
        let cases = [
            ("v", Value::from(2)),
            ("v", Value::Null),
            ("sku", Value::from("")),
            ("new_stock_count", Value::from(-5)),
            ("version", Value::from(7)),
            ("changed_at", Value::from("now")),
        ];
        for (name, value) in cases {
            let mut bad = good.clone();
            bad[name] = value;
            let error = read(Message::keyed("tee", bad.to_string())).unwrap_err();
            assert!(
                matches!(&error, FeedError::Malformed { field, .. } if field == name),
                "{name}: {error}"
            );
        }
        let mut later = good;
        later["unknown"] = Value::from(1);
        assert!(read(Message::keyed("tee", later.to_string())).is_ok());
    }
}
