//! Which partition a message goes to.

use stockade_change_feed::{FeedError, Message, Route, Topic};

/// The number of its partition. A message without a key goes where the empty key goes.
///
/// `Message::partition_in` is for logs that have no rule of their own for keys. Kafka's producers
/// have one, and whoever shares a topic with them has to keep it.
pub(super) fn route(topic: &Topic, message: &Message, partitions: u32) -> Result<u32, FeedError> {
    let partition = match message.route {
        Route::Partition(number) => number,
        Route::Key => partition_of(message.key.as_deref().unwrap_or_default(), partitions),
    };
    if partition >= partitions {
        return Err(FeedError::UnknownPartition {
            topic: topic.clone(),
            partition,
            partitions,
        });
    }
    Ok(partition)
}

/// Where Java's producers put a key.
fn partition_of(key: &[u8], partitions: u32) -> u32 {
    // Java clears the sign.
    (murmur2(key) & 0x7fff_ffff) % partitions.max(1)
}

/// `org.apache.kafka.common.utils.Utils.murmur2`.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Longer keys than Kafka takes would wrap, as they do in Java.
    let mut hash = SEED ^ data.len() as u32;
    let (chunks, rest) = data.as_chunks::<4>();
    for chunk in chunks {
        let mut k = u32::from_le_bytes(*chunk).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_javas() {
        // From Kafka's own UtilsTest.
        let expected = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ];
        for (key, hash) in expected {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn a_message_goes_where_it_says_and_nowhere_else() {
        let topic = Topic::new("t").unwrap();
        let to = |message: Message| route(&topic, &message, 3);
        assert_eq!(to(Message::to_partition(2, "v")).unwrap(), 2);
        assert_eq!(to(Message::keyed("abc", "v")).unwrap(), 479_470_107 % 3);
        let keyless = Message {
            route: Route::Key,
            ..Message::to_partition(0, "v")
        };
        assert_eq!(
            to(keyless).unwrap(),
            to(Message::keyed("", "v")).unwrap(),
            "as the empty key"
        );
        let error = to(Message::to_partition(3, "v")).unwrap_err();
        assert!(matches!(
            error,
            FeedError::UnknownPartition {
                partition: 3,
                partitions: 3,
                ..
            }
        ));
    }
}
