use stockade_change_feed::FeedError;

use super::*;
use crate::cluster::{PartitionInfo, TopicInfo};

const NOW: Duration = Duration::from_secs(100);
const AT_ONCE: Batching = Batching {
    linger: Duration::ZERO,
    bytes: 1_000,
};

fn at(partition: u32) -> TopicPartition {
    TopicPartition::new(Topic::new("t").unwrap(), partition)
}

/// A queue that knows who leads two partitions, and its identity.
fn queue() -> Queue {
    let leader = |leader| PartitionInfo { leader, epoch: 0 };
    let info = TopicInfo {
        id: uuid::Uuid::nil(),
        partitions: vec![leader(1), leader(2)],
        replicas: 1,
    };
    let identity = Identity {
        producer: 7,
        epoch: 0,
        sequence: 0,
    };
    Queue {
        topics: [(Topic::new("t").unwrap(), info)].into(),
        identity: Some(identity),
        ..Queue::default()
    }
}

fn add(queue: &mut Queue, partition: u32, values: &[&str]) -> Arc<Call> {
    let call = Arc::new(Call::new(vec![None; values.len()]));
    for (place, value) in values.iter().enumerate() {
        let message = Message::to_partition(partition, value.to_string());
        let pending = Pending {
            message,
            millis: 0,
            bytes: 300,
            call: call.clone(),
            place,
        };
        queue.add(at(partition), pending, NOW);
    }
    call
}

/// The only batch that is to be sent now.
fn one(queue: &mut Queue) -> Batch {
    let (mut flights, _) = queue.take(NOW, AT_ONCE);
    assert_eq!(flights.len(), 1, "{flights:?}");
    assert_eq!(flights[0].batches.len(), 1);
    flights.remove(0).batches.remove(0)
}

fn values(batch: &Batch) -> Vec<String> {
    let value = |pending: &Pending| pending.message.value.clone().unwrap().to_vec();
    batch
        .pending
        .iter()
        .map(|p| String::from_utf8(value(p)).unwrap())
        .collect()
}

fn nothing(queue: &mut Queue, now: Duration) -> Duration {
    let (flights, next) = queue.take(now, AT_ONCE);
    assert!(flights.is_empty(), "{flights:?}");
    next
}

fn after(batch: &Batch) -> Known {
    Known::Next(batch.identity.after(batch.pending.len()))
}

#[test]
fn one_batch_of_a_partition_is_under_way_and_the_next_one_forms() {
    let mut queue = queue();
    add(&mut queue, 0, &["a"]);
    let first = one(&mut queue);
    add(&mut queue, 0, &["b"]);
    add(&mut queue, 0, &["c"]);
    nothing(&mut queue, NOW);
    queue.go_on(&first.at, after(&first));
    let second = one(&mut queue);
    assert_eq!(values(&second), ["b", "c"]);
    assert_eq!(second.identity.sequence, 1);
}

#[test]
fn partitions_of_one_leader_go_together_and_each_leader_has_its_own() {
    let mut queue = queue();
    add(&mut queue, 0, &["a"]);
    add(&mut queue, 1, &["b"]);
    let (flights, _) = queue.take(NOW, AT_ONCE);
    let leaders: Vec<i32> = flights.iter().map(|flight| flight.leader).collect();
    assert_eq!(leaders, [1, 2]);
}

#[test]
fn a_batch_keeps_to_its_bytes_and_a_large_message_goes_alone() {
    let mut queue = queue();
    add(&mut queue, 0, &["a", "b", "c", "d"]);
    let first = one(&mut queue);
    assert_eq!(values(&first), ["a", "b", "c"]);
    queue.shrink(&at(0), 600);
    queue.put_back(first, Known::First);
    assert_eq!(values(&one(&mut queue)), ["a"]);
}

#[test]
fn what_may_be_in_the_log_is_sent_again_as_it_was_before_anything_else() {
    let mut queue = queue();
    add(&mut queue, 0, &["a", "b"]);
    let mut first = one(&mut queue);
    add(&mut queue, 0, &["c"]);
    first.doubtful = true;
    queue.again(first, NOW);
    let due = nothing(&mut queue, NOW);
    assert!(
        due > NOW && due < NOW + Duration::from_secs(1),
        "after a pause"
    );
    let (mut flights, _) = queue.take(due, AT_ONCE);
    let again = flights.remove(0).batches.remove(0);
    assert_eq!(
        (values(&again), again.identity.sequence),
        (vec!["a".into(), "b".into()], 0)
    );
}

#[test]
fn what_is_not_in_the_log_goes_with_what_came_meanwhile() {
    let mut queue = queue();
    add(&mut queue, 0, &["a"]);
    let first = one(&mut queue);
    add(&mut queue, 0, &["b"]);
    queue.again(first, NOW);
    let due = nothing(&mut queue, NOW);
    let (mut flights, _) = queue.take(due, AT_ONCE);
    assert_eq!(values(&flights.remove(0).batches.remove(0)), ["a", "b"]);
}

#[test]
fn what_nobody_waits_for_is_not_sent() {
    let mut queue = queue();
    let call = add(&mut queue, 0, &["a"]);
    drop(crate::publish::call::Waiting(call));
    add(&mut queue, 0, &["b"]);
    assert_eq!(values(&one(&mut queue)), ["b"]);
}

#[test]
fn what_was_said_not_to_be_sent_is_not_sent_later() {
    let mut queue = queue();
    let call = add(&mut queue, 0, &["a"]);
    let unsent = |_| FeedError::invalid("message", "", "not sent");
    let sent = |_| FeedError::invalid("message", "", "sent");
    let outcomes = call.outcomes(unsent, sent);
    assert!(
        outcomes[0]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("not sent")
    );
    nothing(&mut queue, NOW);
}

#[test]
fn a_sequence_that_nobody_knows_any_more_is_not_gone_on_with() {
    let mut queue = queue();
    let call = add(&mut queue, 0, &["a"]);
    let mut first = one(&mut queue);
    first.doubtful = true;
    queue.again(first, NOW);
    drop(crate::publish::call::Waiting(call));
    add(&mut queue, 0, &["b"]);
    let later = NOW + Duration::from_secs(10);
    nothing(&mut queue, later);
    assert_eq!(queue.unnamed.pop_first(), Some(Some(at(0))));
    let identity = Identity {
        producer: 8,
        epoch: 0,
        sequence: 0,
    };
    queue.name(Some(&at(0)), identity);
    let (mut flights, _) = queue.take(later, AT_ONCE);
    let batch = flights.remove(0).batches.remove(0);
    assert_eq!(
        (values(&batch), batch.identity),
        (vec!["b".into()], identity)
    );
}

#[test]
fn a_first_message_waits_for_others_only_where_it_is_told_to() {
    let mut queue = queue();
    add(&mut queue, 0, &["a"]);
    let batching = Batching {
        linger: Duration::from_millis(5),
        ..AT_ONCE
    };
    let (flights, next) = queue.take(NOW, batching);
    assert!(flights.is_empty());
    assert_eq!(next, NOW + Duration::from_millis(5));
    add(&mut queue, 0, &["b", "c", "d"]);
    let (flights, _) = queue.take(NOW, batching);
    assert_eq!(flights.len(), 1, "a batch is full");
}

#[test]
fn a_topic_without_leader_is_asked_for() {
    let mut queue = queue();
    queue.topics.clear();
    add(&mut queue, 0, &["a"]);
    nothing(&mut queue, NOW);
    assert!(queue.unknown.contains(&Topic::new("t").unwrap()));
    let given_up = queue.give_up(Some(&[Topic::new("t").unwrap()]));
    assert_eq!(given_up.len(), 1);
}
