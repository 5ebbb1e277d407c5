use stockade_change_feed::{Offset, Timestamp, Topic, TopicPartition};

use super::*;

fn position(offset: u128) -> Position {
    Position {
        partition: TopicPartition::new(Topic::new("t").unwrap(), 0),
        offset: Offset(offset),
        timestamp: Timestamp::EPOCH,
    }
}

fn record(offset: u128) -> Record {
    Record::new(position(offset)).with_value(Some(vec![0; 10].into()))
}

fn progress(next: i64) -> Progress {
    let (epoch, note) = (4, None);
    Progress { next, epoch, note }
}

/// A partition whose group stands at `next`, with these records read and reading gone on to
/// `position`.
fn held(next: i64, offsets: &[u128], position: i64) -> Held {
    let mut held = Held::new(1, Uuid::nil());
    held.open(Uuid::nil(), &progress(next), true);
    held.fill(Read {
        records: offsets.iter().copied().map(record).collect(),
        next: position,
        epochs: vec![(next, 4)],
        end: position,
    });
    held
}

fn next(finish: Finish) -> i64 {
    match finish {
        Finish::Commit(progress) => progress.next,
        other => panic!("to be committed, not {other:?}"),
    }
}

#[test]
fn only_what_was_delivered_is_finished() {
    let mut held = held(5, &[5, 6, 7], 8);
    assert_eq!(held.finish(&position(5)), Finish::NotDelivered);
    held.deliver(100).unwrap();
    assert_eq!(next(held.finish(&position(5))), 6);
    assert_eq!(held.finish(&position(6)), Finish::NotDelivered);
    assert_eq!(
        held.finish(&position(4)),
        Finish::Already,
        "the group had finished it before"
    );
}

#[test]
fn the_last_one_takes_what_follows_and_is_no_record_with_it() {
    let mut held = held(0, &[0, 3], 6);
    held.deliver(100).unwrap();
    assert_eq!(next(held.finish(&position(0))), 3, "up to the next record");
    held.deliver(100).unwrap();
    assert_eq!(
        next(held.finish(&position(0))),
        1,
        "never past one that is not finished"
    );
    assert_eq!(next(held.finish(&position(3))), 6);
}

#[test]
fn what_has_nothing_to_deliver_is_committed_once_all_before_is() {
    let mut held = held(0, &[0], 3);
    assert_eq!(held.unsaved(), None);
    held.deliver(100).unwrap();
    assert_eq!(held.unsaved(), None, "record 0 is not finished");
    held.save(1);
    assert_eq!(held.unsaved().unwrap().next, 3);
    held.save(3);
    assert_eq!(held.unsaved(), None);
}

#[test]
fn a_reset_is_committed_at_once_also_backwards() {
    let mut held = held(50, &[], 50);
    held.reset(2, Uuid::nil(), 7);
    assert_eq!(held.unsaved().unwrap().next, 7);
    held.save(7);
    assert_eq!(held.unsaved(), None);
}

#[test]
fn a_record_that_is_too_large_waits() {
    let mut held = held(0, &[0], 1);
    assert_eq!(held.deliver(9), None);
    assert_eq!((held.buffered, held.cursor()), (10, 0));
    assert!(held.deliver(10).is_some());
    assert_eq!((held.buffered, held.cursor()), (0, 1));
}

#[test]
fn what_was_read_ahead_is_forgotten_where_reading_begins_anew() {
    let mut held = held(0, &[0, 1, 2], 3);
    held.deliver(100).unwrap();
    held.stray(Astray::Truncated(1));
    assert_eq!(
        (held.position, held.has_records(), held.buffered),
        (1, false, 0)
    );
}

#[test]
fn a_commit_names_the_leader_under_which_its_record_was_written() {
    let mut held = held(0, &[0, 1], 2);
    held.fill(Read {
        records: vec![record(2), record(3)],
        next: 4,
        epochs: vec![(2, 9)],
        end: 4,
    });
    while held.deliver(100).is_some() {}
    let epoch = |held: &Held, offset| match held.finish(&position(offset)) {
        Finish::Commit(progress) => progress.epoch,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (epoch(&held, 1), epoch(&held, 2), epoch(&held, 3)),
        (4, 9, 9)
    );
    held.save(3);
    assert_eq!((epoch(&held, 3), held.last_epoch()), (9, 9));
}
