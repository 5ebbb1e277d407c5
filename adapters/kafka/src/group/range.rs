//! Who reads what in a classic group: as Java's `RangeAssignor` shares, without racks.

use std::collections::BTreeMap;

use stockade_change_feed::{Topic, TopicPartition};

/// A member, as far as sharing goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    pub(super) id: String,
    /// The name of a member that comes back under it, if it has one.
    pub(super) instance: Option<String>,
    pub(super) topics: Vec<Topic>,
}

/// Shares each topic by itself: partitions in a row, and one more for the first members where it
/// does not come out even. Returns the share of each member, in the order of `readers`.
pub(super) fn share(readers: &[Reader], counts: &BTreeMap<Topic, u32>) -> Vec<Vec<TopicPartition>> {
    let mut shares = vec![Vec::new(); readers.len()];
    let mut ordered: Vec<usize> = (0..readers.len()).collect();
    // The order of Java's `MemberInfo`: those with a name come first.
    ordered.sort_by_key(|&index| {
        let reader = &readers[index];
        let named = reader.instance.as_ref();
        (named.is_none(), named.unwrap_or(&reader.id))
    });
    for (topic, &count) in counts {
        let reading = ordered.iter().copied();
        let reading: Vec<usize> = reading
            .filter(|&index| readers[index].topics.contains(topic))
            .collect();
        let Ok(members) = u32::try_from(reading.len()) else {
            continue;
        };
        if members == 0 {
            continue;
        }
        let (each, more) = (count / members, count % members);
        let mut partitions = 0..count;
        for (place, index) in (0..members).zip(reading) {
            let length = each + u32::from(place < more);
            let mine = partitions.by_ref().take(length as usize);
            let mine = mine.map(|partition| TopicPartition::new(topic.clone(), partition));
            shares[index].extend(mine);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn topic(name: &str) -> Topic {
        Topic::new(name).unwrap()
    }

    fn reader(id: &str, instance: Option<&str>, topics: &[&str]) -> Reader {
        Reader {
            id: id.to_owned(),
            instance: instance.map(str::to_owned),
            topics: topics.iter().map(|name| topic(name)).collect(),
        }
    }

    fn shown(shares: &[Vec<TopicPartition>]) -> Vec<String> {
        let show = |share: &Vec<TopicPartition>| {
            let share: Vec<String> = share.iter().map(ToString::to_string).collect();
            share.join(" ")
        };
        shares.iter().map(show).collect()
    }

    #[test]
    fn each_topic_is_shared_by_itself_and_the_first_have_one_more() {
        let readers = [
            reader("b", None, &["t", "u"]),
            reader("a", None, &["t", "u"]),
        ];
        let counts = BTreeMap::from([(topic("t"), 3), (topic("u"), 1)]);
        assert_eq!(shown(&share(&readers, &counts)), ["t/2", "t/0 t/1 u/0"]);
    }

    #[test]
    fn named_members_come_first() {
        let readers = [reader("a", None, &["t"]), reader("b", Some("z"), &["t"])];
        let counts = BTreeMap::from([(topic("t"), 2)]);
        assert_eq!(shown(&share(&readers, &counts)), ["t/1", "t/0"]);
    }

    #[test]
    fn a_topic_goes_to_its_readers_only() {
        let readers = [reader("a", None, &["t"]), reader("b", None, &["u"])];
        let counts = BTreeMap::from([(topic("t"), 2), (topic("u"), 1), (topic("w"), 1)]);
        assert_eq!(shown(&share(&readers, &counts)), ["t/0 t/1", "u/0"]);
    }

    proptest! {
        #[test]
        fn everything_that_is_read_has_one_reader(
            wants in prop::collection::vec(prop::collection::btree_set(0_usize..3, 1..3), 1..6),
            counts in prop::collection::vec(0_u32..9, 3),
        ) {
            let names = ["a", "b", "c"];
            let readers: Vec<Reader> = wants.iter().enumerate().map(|(n, wants)| {
                let topics: Vec<&str> = wants.iter().map(|want| names[*want]).collect();
                reader(&n.to_string(), None, &topics)
            }).collect();
            let counted: BTreeMap<Topic, u32> =
                names.iter().zip(&counts).map(|(name, count)| (topic(name), *count)).collect();
            let shares = share(&readers, &counted);
            let all: Vec<&TopicPartition> = shares.iter().flatten().collect();
            let distinct: BTreeSet<&TopicPartition> = all.iter().copied().collect();
            prop_assert_eq!(all.len(), distinct.len());
            let read = |name: &str| readers.iter().any(|reader| reader.topics.contains(&topic(name)));
            let expected: u32 =
                names.iter().zip(&counts).filter(|(name, _)| read(name)).map(|(_, n)| n).sum();
            prop_assert_eq!(all.len(), expected as usize);
        }
    }
}
