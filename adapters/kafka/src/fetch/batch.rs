//! The batches of records in an answer, as a reader of committed transactions sees them.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};
use kafka_protocol::messages::fetch_response::{AbortedTransaction, PartitionData};
use kafka_protocol::records::RecordBatchDecoder;
use stockade_change_feed::{Headers, Offset, Position, Record, Timestamp, TopicPartition};

use crate::error::KafkaError;

/// Bytes before the records of a batch.
const HEADER: usize = 61;
/// Bytes before what its length counts.
const LENGTH_ENDS: usize = 12;

/// What was read from a partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Read {
    pub(crate) records: Vec<Record>,
    /// Where to read on, also where there was nothing to see.
    pub(crate) next: i64,
    /// Where each leader's records begin, as far as they were read.
    pub(crate) epochs: Vec<(i64, i32)>,
    /// The end of what may be read.
    pub(crate) end: i64,
}

/// Reads what follows offset `from`.
pub(super) fn read(
    at: &TopicPartition,
    from: i64,
    partition: PartitionData,
) -> Result<Read, KafkaError> {
    let mut read = Read {
        next: from,
        end: partition.high_watermark,
        ..Read::default()
    };
    let mut aborted = Aborted::new(partition.aborted_transactions.unwrap_or_default());
    let mut bytes = partition.records.unwrap_or_default();
    while let Some(mut batch) = whole(&mut bytes) {
        let Some(header) = Header::of(&batch) else {
            break;
        };
        let malformed = |error: &dyn std::fmt::Display| {
            let what = format!("batch of records of {at} from offset {}", header.first);
            KafkaError::malformed(what, error.to_string())
        };
        read.next = read.next.max(header.last.saturating_add(1));
        if read
            .epochs
            .last()
            .is_none_or(|(_, epoch)| *epoch != header.epoch)
        {
            read.epochs.push((header.first, header.epoch));
        }
        if aborted.hides(&header) || header.is_control() {
            continue;
        }
        let decoded = RecordBatchDecoder::decode(&mut batch).map_err(|error| malformed(&error))?;
        for record in decoded.records {
            // A batch begins before the offset that was asked for.
            if record.offset >= from {
                read.records.push(convert(at, &header, record));
            }
        }
    }
    Ok(read)
}

fn convert(
    at: &TopicPartition,
    header: &Header,
    record: kafka_protocol::records::Record,
) -> Record {
    let millis = match header.has_append_time() {
        true => header.latest,
        false => record.timestamp,
    };
    let position = Position {
        partition: at.clone(),
        offset: Offset(record.offset.unsigned_abs().into()),
        timestamp: Timestamp::from_millis(millis),
    };
    let headers: Headers = record
        .headers
        .into_iter()
        // No value is read as an empty one.
        .map(|(name, value)| (name.as_str().to_owned(), value.unwrap_or_default()))
        .collect();
    Record::new(position)
        .with_key(record.key)
        .with_value(record.value)
        .with_headers(headers)
}

/// The next whole batch. The last one of an answer may be cut off.
fn whole(bytes: &mut Bytes) -> Option<Bytes> {
    let length = bytes.get(8..LENGTH_ENDS)?.get_i32();
    let length = LENGTH_ENDS.checked_add(usize::try_from(length).ok()?)?;
    (length >= HEADER && bytes.len() >= length).then(|| bytes.split_to(length))
}

/// What a batch says of itself.
struct Header {
    first: i64,
    last: i64,
    epoch: i32,
    attributes: i16,
    latest: i64,
    producer: i64,
}

impl Header {
    fn of(batch: &Bytes) -> Option<Self> {
        let first = batch.get(0..8)?.get_i64();
        Some(Self {
            first,
            epoch: batch.get(12..16)?.get_i32(),
            attributes: batch.get(21..23)?.get_i16(),
            last: first.saturating_add(batch.get(23..27)?.get_i32().into()),
            latest: batch.get(35..43)?.get_i64(),
            producer: batch.get(43..51)?.get_i64(),
        })
    }

    /// Whether its time is the broker's and not the producer's.
    fn has_append_time(&self) -> bool {
        self.attributes & 8 != 0
    }

    fn is_transactional(&self) -> bool {
        self.attributes & 16 != 0
    }

    /// Whether it is a marker, such as the end of a transaction.
    fn is_control(&self) -> bool {
        self.attributes & 32 != 0
    }
}

/// Which transactions in an answer were aborted.
struct Aborted {
    /// By where they begin, the last one first.
    ahead: Vec<AbortedTransaction>,
    /// The producers whose transaction is aborted, at the batch that was read last.
    producers: BTreeSet<i64>,
}

impl Aborted {
    fn new(mut ahead: Vec<AbortedTransaction>) -> Self {
        ahead.sort_by_key(|aborted| std::cmp::Reverse(aborted.first_offset));
        let producers = BTreeSet::new();
        Self { ahead, producers }
    }

    fn hides(&mut self, header: &Header) -> bool {
        while let Some(begun) = self
            .ahead
            .pop_if(|aborted| aborted.first_offset <= header.last)
        {
            self.producers.insert(begun.producer_id.0);
        }
        if header.is_control() {
            // Whichever marker it is, the producer's transaction ends.
            self.producers.remove(&header.producer);
            return true;
        }
        header.is_transactional() && self.producers.contains(&header.producer)
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
