//! Which partition a message goes to.

use crate::error::FeedError;
use crate::record::{Message, Route, Topic};

impl Message {
    /// The number of the partition for this message, in a topic with `partitions` partitions. For
    /// logs that place keys by [`partition_of`].
    ///
    /// # Errors
    /// [`FeedError::UnknownPartition`] when the message names a partition that the topic does not
    /// have.
    pub fn partition_in(&self, topic: &Topic, partitions: u32) -> Result<u32, FeedError> {
        let partition = match self.route {
            Route::Key => partition_of(self.key.as_deref().unwrap_or_default(), partitions),
            Route::Partition(partition) => partition,
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
}

/// The partition of a key: equal keys share one, in every process and version.
///
/// FNV-1a, folded because its low bits alone are weak.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash ^ (hash >> 32)) & u64::from(u32::MAX);
    u32::try_from(folded).unwrap_or_default() % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_spread_over_partitions() {
        let mut counts = [0_u32; 4];
        for n in 0..4_000 {
            counts[partition_of(format!("SKU-{n}").as_bytes(), 4) as usize] += 1;
        }
        assert!(
            counts.iter().all(|count| (800..1_200).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn a_key_has_its_partition_for_ever() {
        let partitions = ["", "a", "SKU-1", "SKU-2"].map(|key| partition_of(key.as_bytes(), 16));
        assert_eq!(partitions, [1, 0, 0, 9]);
    }

    #[test]
    fn without_a_key_a_message_goes_where_the_empty_key_goes() {
        let topic = Topic::new("t").unwrap();
        let empty = Message::keyed("", "v");
        let without = Message {
            key: None,
            ..empty.clone()
        };
        for partitions in 1..20 {
            let partition = without.partition_in(&topic, partitions).unwrap();
            assert_eq!(partition, empty.partition_in(&topic, partitions).unwrap());
        }
    }

    #[test]
    fn a_named_partition_has_to_exist() {
        let topic = Topic::new("t").unwrap();
        let message = Message::to_partition(2, "v");
        assert_eq!(message.partition_in(&topic, 3).unwrap(), 2);
        let refused = message.partition_in(&topic, 2).unwrap_err();
        assert!(matches!(
            refused,
            FeedError::UnknownPartition {
                partition: 2,
                partitions: 2,
                ..
            }
        ));
    }
}
