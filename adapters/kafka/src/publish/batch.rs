//! Messages for one partition, as one batch of records.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression as Codec, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use stockade_change_feed::Message;

use crate::error::KafkaError;

/// How batches are compressed. Readers need not be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// Small, and slow to make.
    Gzip,
    /// Quick.
    Snappy,
    /// Quick.
    Lz4,
    /// Small, and quicker than gzip.
    Zstd,
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip,
            Compression::Snappy => Self::Snappy,
            Compression::Lz4 => Self::Lz4,
            Compression::Zstd => Self::Zstd,
        }
    }
}

/// By which a broker knows that it has a batch already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) producer: i64,
    pub(super) epoch: i16,
    /// Of the next batch's first record.
    pub(super) sequence: i32,
}

impl Identity {
    pub(super) fn after(self, records: usize) -> Self {
        let sequence = i64::from(self.sequence) + i64::try_from(records).unwrap_or_default();
        // It begins again at 0.
        let sequence = i32::try_from(sequence & i64::from(i32::MAX)).unwrap_or_default();
        Self { sequence, ..self }
    }
}

/// Writes a batch. `millis` is when it was published.
pub(super) fn encode<'a>(
    messages: impl Iterator<Item = (&'a Message, i64)>,
    identity: Identity,
    compression: Compression,
) -> Result<Bytes, KafkaError> {
    let records: Vec<Record> = (0_i32..)
        .zip(messages)
        .map(|(place, (message, millis))| record(message, millis, identity, place))
        .collect();
    let options = RecordEncodeOptions {
        version: 2,
        compression: compression.into(),
    };
    let mut bytes = BytesMut::new();
    let encoded = RecordBatchEncoder::encode(&mut bytes, &records, &options);
    encoded.map_err(|error| KafkaError::malformed("batch of messages", error.to_string()))?;
    Ok(bytes.freeze())
}

fn record(message: &Message, millis: i64, identity: Identity, place: i32) -> Record {
    let headers = message.headers.iter();
    Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: identity.producer,
        producer_epoch: identity.epoch,
        timestamp_type: TimestampType::Creation,
        offset: place.into(),
        sequence: identity.sequence.wrapping_add(place),
        timestamp: millis,
        key: message.key.clone(),
        value: message.value.clone(),
        headers: headers
            .map(|(name, value)| (StrBytes::from_string(name.to_owned()), Some(value.clone())))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;

    #[test]
    fn sequences_go_on_and_begin_again_at_0() {
        let identity = Identity {
            producer: 1,
            epoch: 0,
            sequence: i32::MAX - 1,
        };
        assert_eq!(identity.after(1).sequence, i32::MAX);
        assert_eq!(identity.after(2).sequence, 0);
        assert_eq!(identity.after(5).sequence, 3);
    }

    #[test]
    fn messages_are_one_batch_in_any_compression() {
        let messages = [Message::keyed("k", "v"), Message::keyed("k", "w")];
        let identity = Identity {
            producer: 7,
            epoch: 2,
            sequence: i32::MAX,
        };
        for compression in [
            Compression::None,
            Compression::Gzip,
            Compression::Snappy,
            Compression::Lz4,
            Compression::Zstd,
        ] {
            let dated = messages.iter().map(|message| (message, 5));
            let mut bytes = encode(dated, identity, compression).unwrap();
            let batches = RecordBatchDecoder::decode_all(&mut bytes).unwrap();
            assert_eq!(batches.len(), 1);
            assert_eq!(batches[0].compression, compression.into());
            let values: Vec<_> = batches[0].records.iter().map(|r| r.value.clone()).collect();
            assert_eq!(values, [Some("v".into()), Some("w".into())]);
            assert_eq!(batches[0].records[0].producer_id, 7);
        }
    }
}
