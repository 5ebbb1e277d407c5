//! What logs of this family share: which partition a key goes to, and which member of a group
//! reads which partition.

use std::collections::BTreeMap;

use crate::record::{Topic, TopicPartition};

/// The partition of a key: equal keys share one, in every process and for good.
///
/// FNV-1a, which is the same in every process, folded because its low bits alone are weak.
#[must_use]
pub fn partition_of(key: &[u8], partitions: u32) -> u32 {
    let hash = key.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let folded = (hash ^ (hash >> 32)) & u64::from(u32::MAX);
    u32::try_from(folded).unwrap_or_default() % partitions.max(1)
}

/// Gives each partition to a member that reads its topic: evenly, and otherwise as before.
///
/// The same for everybody who asks with the same, so members may each work it out for themselves.
#[must_use]
pub fn assign(
    members: &BTreeMap<u64, &[Topic]>,
    partitions: &[TopicPartition],
    before: &BTreeMap<TopicPartition, u64>,
) -> BTreeMap<TopicPartition, u64> {
    let mut loads: BTreeMap<u64, usize> = members.keys().map(|id| (*id, 0)).collect();
    let mut owners = BTreeMap::new();
    let reads = |id: u64, topic: &Topic| members.get(&id).is_some_and(|t| t.contains(topic));
    let least = |loads: &BTreeMap<u64, usize>, topic: &Topic| {
        let readers = loads.iter().filter(|(id, _)| reads(**id, topic));
        readers
            .min_by_key(|(_, load)| **load)
            .map(|(id, load)| (*id, *load))
    };
    let mut give = |loads: &mut BTreeMap<u64, usize>, at: &TopicPartition, id: u64| {
        if let Some(previous) = owners.insert(at.clone(), id) {
            loads.entry(previous).and_modify(|load| *load -= 1);
        }
        loads.entry(id).and_modify(|load| *load += 1);
    };

    let kept = |at: &TopicPartition| before.get(at).copied().filter(|id| reads(*id, &at.topic));
    for at in partitions {
        if let Some(id) = kept(at) {
            give(&mut loads, at, id);
        }
    }
    for at in partitions.iter().filter(|at| kept(at).is_none()) {
        if let Some((id, _)) = least(&loads, &at.topic) {
            give(&mut loads, at, id);
        }
    }
    level(partitions, &mut owners, &mut loads, least);
    owners
}

/// Moves partitions from who has more to who has less. Each move makes the loads more equal, so
/// it ends.
fn level(
    partitions: &[TopicPartition],
    owners: &mut BTreeMap<TopicPartition, u64>,
    loads: &mut BTreeMap<u64, usize>,
    least: impl Fn(&BTreeMap<u64, usize>, &Topic) -> Option<(u64, usize)>,
) {
    let mut moved = true;
    while moved {
        moved = false;
        for at in partitions {
            let (Some(from), Some((to, low))) = (owners.get_mut(at), least(loads, &at.topic))
            else {
                continue;
            };
            if loads.get(from).is_some_and(|load| *load > low + 1) {
                loads.entry(*from).and_modify(|load| *load -= 1);
                loads.entry(to).and_modify(|load| *load += 1);
                *from = to;
                moved = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(count: u32) -> Vec<TopicPartition> {
        let topic = Topic::new("t").unwrap();
        (0..count)
            .map(|number| TopicPartition::new(topic.clone(), number))
            .collect()
    }

    proptest! {
        #[test]
        fn every_partition_has_one_reader_and_loads_are_even(
            count in 0_u32..20,
            rounds in prop::collection::vec(prop::collection::btree_set(0_u64..6, 1..6), 1..5),
        ) {
            let partitions = partitions(count);
            let topics = [Topic::new("t").unwrap()];
            let mut owners = BTreeMap::new();
            for ids in rounds {
                let members = ids.iter().map(|id| (*id, topics.as_slice())).collect();
                let next = assign(&members, &partitions, &owners);
                prop_assert_eq!(next.len(), partitions.len());
                let load = |id: &u64| next.values().filter(|owner| *owner == id).count();
                let loads: Vec<usize> = ids.iter().map(load).collect();
                let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
                prop_assert!(spread <= 1, "{:?}", loads);
                prop_assert_eq!(&assign(&members, &partitions, &next), &next);
                owners = next;
            }
        }
    }

    #[test]
    fn a_newcomer_takes_only_its_share() {
        let topics = [Topic::new("t").unwrap()];
        let members = |count: u64| (0..count).map(|id| (id, topics.as_slice())).collect();
        let before = assign(&members(2), &partitions(6), &BTreeMap::new());
        let after = assign(&members(3), &partitions(6), &before);
        let moved: Vec<_> = before.iter().filter(|(at, id)| after[at] != **id).collect();
        assert_eq!(moved.len(), 2, "{before:?} then {after:?}");
    }

    #[test]
    fn a_partition_goes_only_to_who_reads_its_topic() {
        let (a, b) = (Topic::new("a").unwrap(), Topic::new("b").unwrap());
        let partitions: Vec<_> = (0..4)
            .map(|n| TopicPartition::new(if n < 3 { a.clone() } else { b.clone() }, n))
            .collect();
        let (only_a, only_b) = ([a], [b]);
        let members = BTreeMap::from([(1, only_a.as_slice()), (2, only_b.as_slice())]);
        let owners = assign(&members, &partitions, &BTreeMap::new());
        assert!(
            owners
                .iter()
                .all(|(at, id)| members[id].contains(&at.topic)),
            "{owners:?}"
        );
    }

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
}
