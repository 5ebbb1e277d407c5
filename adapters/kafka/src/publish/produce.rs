//! Sending batches to a leader, and what it answers.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProduceResponse};
use stockade_change_feed::{Message, Topic, TopicPartition};

use super::batch::{Compression, Identity, encode};
use super::queue::Batch;
use crate::cluster::{KafkaClient, To};
use crate::error::{KafkaError, check};
use crate::offsets::{at, number, topic_of};
use crate::wire::{Request, topic_name};

const API: &str = ProduceRequest::NAME;
/// A topic's setting for how large a batch may be.
const LIMIT: &str = "max.message.bytes";

/// A batch that has come back.
pub(super) struct Landed {
    pub(super) batch: Batch,
    pub(super) answer: Answer,
}

/// What became of a batch.
pub(super) enum Answer {
    /// It is in the log, from this offset on.
    Appended(i64),
    /// It is in the log, who knows where.
    AppendedBefore,
    /// It is not in the log, and never will be: it is larger than this.
    TooLarge { limit: usize },
    /// It is not in the log, for some of its records: these, and why.
    Refused {
        records: Vec<(usize, String)>,
        error: KafkaError,
    },
    /// It is not in the log, because its sequence is not the one that the leader expects.
    OutOfSequence,
    /// It is not in the log for now.
    NotNow(KafkaError),
    /// Who knows.
    Unknown(KafkaError),
}

/// Sends batches. Each comes back with what became of it.
pub(super) async fn fly(
    client: &KafkaClient,
    leader: i32,
    batches: Vec<Batch>,
    compression: Compression,
) -> Vec<Landed> {
    let mut answers = match send(client, leader, &batches, compression).await {
        Ok(answers) => answers,
        Err(error) => {
            let land = |batch| Landed {
                batch,
                answer: unanswered(error.clone()),
            };
            return batches.into_iter().map(land).collect();
        }
    };
    let mut landed = Vec::new();
    for batch in batches {
        let answer = match answers.remove(&batch.at) {
            Some(answer) => read(client, &batch, answer).await,
            None => Answer::Unknown(KafkaError::malformed(
                "answer to Produce",
                format!("{} is missing", batch.at),
            )),
        };
        landed.push(Landed { batch, answer });
    }
    landed
}

fn unanswered(error: KafkaError) -> Answer {
    match error {
        KafkaError::Lost { .. } | KafkaError::NoAnswer { .. } => Answer::Unknown(error),
        _ if error.is_transient() => Answer::NotNow(error),
        _ => Answer::Refused {
            records: Vec::new(),
            error,
        },
    }
}

/// What the broker is to know batches of this publisher by. Its sequence begins in each partition.
pub(super) async fn identity(client: &KafkaClient) -> Result<Identity, KafkaError> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX);
    let answer = client.ask(To::Any, Duration::ZERO, |_| request).await?;
    check(InitProducerIdRequest::NAME, answer.error_code)?;
    let (producer, epoch) = (answer.producer_id.0, answer.producer_epoch);
    Ok(Identity {
        producer,
        epoch,
        sequence: 0,
    })
}

async fn send(
    client: &KafkaClient,
    leader: i32,
    batches: &[Batch],
    compression: Compression,
) -> Result<BTreeMap<TopicPartition, PartitionProduceResponse>, KafkaError> {
    let mut topics: BTreeMap<&Topic, Vec<PartitionProduceData>> = BTreeMap::new();
    for batch in batches {
        let pending = batch.pending.iter();
        let messages = pending.map(|pending| (&pending.message, pending.millis));
        let records = encode(messages, batch.identity, compression)?;
        let partition = PartitionProduceData::default()
            .with_index(number(&batch.at))
            .with_records(Some(records));
        topics.entry(&batch.at.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(partitions)
    });
    // The leader gives up on its followers before it is given up on.
    let patience = client.config().request_timeout / 4 * 3;
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(i32::try_from(patience.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics.collect());
    by_partition(
        client
            .ask(To::Node(leader), Duration::ZERO, |_| request)
            .await?,
    )
}

fn by_partition(
    answer: ProduceResponse,
) -> Result<BTreeMap<TopicPartition, PartitionProduceResponse>, KafkaError> {
    let mut answers = BTreeMap::new();
    for topic in answer.responses {
        let name = topic_of(topic.name.as_str())?;
        for partition in topic.partition_responses {
            answers.insert(at(&name, partition.index)?, partition);
        }
    }
    Ok(answers)
}

async fn read(client: &KafkaClient, batch: &Batch, answer: PartitionProduceResponse) -> Answer {
    let Some(error) = ResponseError::try_from_code(answer.error_code) else {
        return Answer::Appended(answer.base_offset);
    };
    let said = answer
        .error_message
        .as_ref()
        .map(|message| message.as_str().to_owned());
    let refused = KafkaError::Refused {
        api: API,
        code: error.code(),
        message: Some(said.unwrap_or_else(|| batch.at.to_string())),
    };
    match error {
        ResponseError::MessageTooLarge | ResponseError::RecordListTooLarge => Answer::TooLarge {
            limit: limit(client, batch).await,
        },
        ResponseError::OutOfOrderSequenceNumber
        | ResponseError::UnknownProducerId
        | ResponseError::InvalidProducerEpoch => Answer::OutOfSequence,
        ResponseError::DuplicateSequenceNumber => Answer::AppendedBefore,
        ResponseError::RequestTimedOut | ResponseError::NotEnoughReplicasAfterAppend => {
            Answer::Unknown(refused)
        }
        _ if refused.is_transient() => Answer::NotNow(refused),
        _ => {
            let records = answer.record_errors.iter().map(|record| {
                let why = record.batch_index_error_message.as_ref();
                let why = why.map(|why| why.as_str().to_owned()).unwrap_or_default();
                (
                    usize::try_from(record.batch_index).unwrap_or(usize::MAX),
                    why,
                )
            });
            Answer::Refused {
                records: records.collect(),
                error: refused,
            }
        }
    }
}

/// The most that the topic takes of key, value and headers together, in a batch like this one of
/// one message.
async fn limit(client: &KafkaClient, batch: &Batch) -> usize {
    let bytes: usize = batch
        .pending
        .iter()
        .map(|pending| pending.message.bytes())
        .sum();
    let most = match client.topic_settings(&batch.at.topic, &[LIMIT]).await {
        Ok(found) => found
            .get(LIMIT)
            .and_then(|value| value.parse::<usize>().ok()),
        Err(error) => {
            tracing::debug!(%error, topic = %batch.at.topic, "its limit can not be read");
            None
        }
    };
    let Some(most) = most else {
        // It is below this, in any case.
        return bytes.saturating_sub(1);
    };
    let Some(pending) = batch.pending.first() else {
        return most;
    };
    largest(&pending.message, most)
}

/// The most bytes of key, value and headers together with which a batch of one message, with this
/// key and these headers, has at most `most` bytes.
fn largest(message: &Message, most: usize) -> usize {
    let beside = |message: &Message| {
        let identity = Identity {
            producer: 0,
            epoch: 0,
            sequence: 0,
        };
        let encoded = encode([(message, 0)].into_iter(), identity, Compression::None);
        encoded.map_or(0, |encoded| encoded.len().saturating_sub(message.bytes()))
    };
    let mut limit = most.saturating_sub(beside(message));
    let Some(value) = &message.value else {
        return limit;
    };
    // Lengths are written in fewer bytes where they are shorter, which leaves a little more room.
    let others = message.bytes() - value.len();
    while (others..message.bytes()).contains(&limit) {
        let longer = Message {
            value: Some(value.slice(..limit + 1 - others)),
            ..message.clone()
        };
        if limit + 1 + beside(&longer) > most {
            break;
        }
        limit += 1;
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_limit_fits_and_a_byte_more_does_not() {
        let key = |bytes: usize| vec![b'k'; bytes];
        let identity = Identity {
            producer: 7,
            epoch: 0,
            sequence: 0,
        };
        let encoded = |message: &Message| {
            let millis = 1_700_000_000_000;
            let batch = encode([(message, millis)].into_iter(), identity, Compression::None);
            batch.unwrap().len()
        };
        let lengths = (120..220).chain(8_240..8_300).chain([2_000, 1_048_588]);
        for (most, key_bytes) in lengths.flat_map(|most| [(most, 0), (most, 20)]) {
            let message = |value: usize| Message::keyed(key(key_bytes), vec![b'v'; value]);
            let limit = largest(&message(2 * most), most);
            let value = limit - key_bytes;
            assert!(encoded(&message(value)) <= most, "{limit} of {most}");
            assert!(encoded(&message(value + 1)) > most, "{limit} of {most}");
        }
    }
}
