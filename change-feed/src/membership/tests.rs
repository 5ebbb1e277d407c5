//! Single rules, each by an example.

use super::*;
use crate::feed::Gained;
use crate::record::Offset;

fn topic() -> Topic {
    Topic::new("t").unwrap()
}

fn at(partition: u32) -> TopicPartition {
    TopicPartition::new(topic(), partition)
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// A poll of a group that reads one topic with 6 partitions.
fn poll(group: &mut GroupState, id: u64, now: Timestamp) -> Changes {
    group.poll(&MemberPoll {
        id: MemberId(id),
        topics: &[topic()],
        partitions: &BTreeMap::from([(topic(), 6)]),
        now,
        session_timeout: Duration::from_secs(30),
    })
}

fn owned(group: &GroupState, id: u64) -> usize {
    group.owned_by(MemberId(id)).len()
}

#[test]
fn a_newcomer_takes_only_its_share() {
    let mut group = GroupState::default();
    for id in [1, 2, 1, 2] {
        let _ = poll(&mut group, id, second(0));
    }
    assert_eq!((owned(&group, 1), owned(&group, 2)), (3, 3));
    for id in [3, 1, 2, 3] {
        let changes = poll(&mut group, id, second(0));
        assert!(changes.others_should_poll, "{id} changed something");
    }
    let moved = group.owners.values();
    let moved = moved.filter(|row| row.owner == Some(MemberId(3))).count();
    assert_eq!((owned(&group, 1), owned(&group, 2), moved), (2, 2, 2));
    assert!(!poll(&mut group, 1, second(0)).others_should_poll);
}

#[test]
fn a_silent_member_expires_at_the_session_timeout() {
    let mut group = GroupState::default();
    let _ = poll(&mut group, 1, second(0));
    let early = poll(&mut group, 2, second(29));
    assert_eq!((early.removed, owned(&group, 2)), (vec![], 0));
    let changes = poll(&mut group, 2, second(30));
    assert_eq!((changes.removed, owned(&group, 2)), (vec![MemberId(1)], 6));
    let held = Generation(1);
    assert!(!group.may_commit(MemberId(1), &at(0), held));
    assert!(group.may_commit(MemberId(2), &at(0), Generation(2)));
    assert!(
        !group.may_commit(MemberId(2), &at(0), held),
        "not of its assignment"
    );
}

#[test]
fn a_late_member_keeps_what_no_other_took() {
    let mut group = GroupState::default();
    let _ = poll(&mut group, 1, second(0));
    let late = poll(&mut group, 1, second(100));
    assert_eq!((late.removed, late.partitions.len()), (vec![], 0));
    assert_eq!(group.owned_by(MemberId(1))[&at(0)], Generation(1));
}

#[test]
fn a_clock_that_is_set_back_makes_nobody_silent() {
    let mut group = GroupState::default();
    let _ = poll(&mut group, 1, second(1_000));
    let changes = poll(&mut group, 2, second(0));
    assert_eq!(changes.removed, []);
}

#[test]
fn leaving_frees_partitions_and_keeps_their_generations() {
    let mut group = GroupState::default();
    let _ = poll(&mut group, 1, second(0));
    let changes = group.leave(MemberId(1));
    let free = Ownership {
        owner: None,
        generation: Generation(1),
    };
    assert_eq!(changes.removed, [MemberId(1)]);
    assert_eq!(changes.partitions, (0..6).map(|n| (at(n), free)).collect());
    let late = group.may_commit(MemberId(1), &at(0), Generation(1));
    assert!(
        !late,
        "it has left, and no other member has taken the partition"
    );
    assert_eq!(group.leave(MemberId(1)), Changes::default(), "it has left");
    let _ = poll(&mut group, 1, second(0));
    assert_eq!(group.owned_by(MemberId(1))[&at(0)], Generation(2));
}

#[test]
fn members_expire_without_a_poll() {
    let mut group = GroupState::default();
    let _ = poll(&mut group, 1, second(0));
    let timeout = Duration::from_secs(30);
    assert_eq!(group.expire(second(29), timeout), Changes::default());
    assert_eq!(group.len(), 1);
    assert_eq!(group.expire(second(30), timeout).removed, [MemberId(1)]);
    assert!(group.is_empty());
}

#[test]
fn a_partition_that_no_longer_exists_is_released() {
    let mut group = GroupState::default();
    let _ = poll(&mut group, 1, second(0));
    let changes = group.poll(&MemberPoll {
        id: MemberId(1),
        topics: &[topic(), topic()],
        partitions: &BTreeMap::from([(topic(), 2)]),
        now: second(1),
        session_timeout: Duration::from_secs(30),
    });
    assert_eq!(changes.partitions.len(), 4);
    assert_eq!(
        group.owned_by(MemberId(1)).into_keys().collect::<Vec<_>>(),
        [at(0), at(1)]
    );
}

#[test]
fn an_owner_that_is_no_member_does_not_count() {
    let row = Ownership {
        owner: Some(MemberId(7)),
        generation: Generation(3),
    };
    let mut group = GroupState::new([], [(at(0), row)]);
    let _ = poll(&mut group, 1, second(0));
    assert_eq!(group.owned_by(MemberId(1))[&at(0)], Generation(4));
}

fn assigned(partitions: &[(u32, u64)]) -> BTreeMap<TopicPartition, Generation> {
    let owned = partitions.iter();
    owned
        .map(|(n, generation)| (at(*n), Generation(*generation)))
        .collect()
}

#[test]
fn a_report_is_kept_until_it_is_taken() {
    let mut mine = AssignedPartitions::default();
    mine.update(&assigned(&[(0, 1), (1, 1)]), |at| (at.partition, None));
    mine.update(&assigned(&[(1, 2), (2, 1)]), |at| {
        (at.partition + 10, Some(Offset(7)))
    });
    let report = mine.take_report();
    assert_eq!(report.lost, [], "nothing was reported as gained before");
    let gained = [1, 2].map(|n| Gained::new(at(n), Some(Offset(7))));
    assert_eq!(report.gained, gained);
    assert!(mine.get(&at(0)).is_none());
    let cursors: Vec<u32> = mine.iter().map(|(_, assigned)| assigned.cursor).collect();
    assert_eq!(cursors, [11, 12], "a new generation has a new cursor");
    mine.update(&assigned(&[(1, 3)]), |_| (0, None));
    let report = mine.take_report();
    assert_eq!(
        (report.lost, report.gained),
        (vec![at(1), at(2)], vec![Gained::new(at(1), None)])
    );
    assert!(mine.take_report().is_empty());
}

#[test]
fn partitions_take_turns() {
    let mut mine = AssignedPartitions::default();
    assert_eq!(mine.in_turn(&[]), []);
    mine.update(&assigned(&[(0, 1), (1, 1), (2, 1)]), |_| ((), None));
    let firsts: BTreeSet<TopicPartition> = (0..3).map(|_| mine.in_turn(&[]).remove(0)).collect();
    assert_eq!(firsts.len(), 3);
    assert!(!mine.in_turn(&[at(1)]).contains(&at(1)));
}
