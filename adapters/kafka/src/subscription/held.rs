//! A partition that a member reads: how far it was read, delivered and committed.

use std::collections::VecDeque;
use std::time::Duration;

use stockade_change_feed::{Position, Record};
use uuid::Uuid;

use crate::fetch::Read;
use crate::offsets::{Note, Progress, offset};

/// A partition of this member.
#[derive(Debug)]
pub(super) struct Held {
    /// Another one whenever reading begins anew, so that older answers are recognised.
    pub(super) tag: u64,
    /// The topic's id; nil where it is unknown.
    pub(super) id: Uuid,
    pub(super) state: State,
    /// Where the next fetch begins.
    pub(super) position: i64,
    /// What was fetched and not delivered yet.
    buffer: VecDeque<Record>,
    /// Bytes of what is in the buffer.
    pub(super) buffered: usize,
    /// The last record that was delivered.
    delivered: Option<Position>,
    /// The first offset that is not committed; where reading began, before anything is.
    committed: i64,
    /// Whether a commit stands behind `committed`.
    saved: bool,
    /// Whether `committed` has to be committed, though nothing was finished.
    to_save: bool,
    /// Where the records of each leader begin, for those from `committed` on.
    epochs: VecDeque<(i64, i32)>,
    /// Whether its leader was asked for the first records, and what it said of them.
    pub(super) first_look: FirstLook,
    /// Only with newer knowledge of the leaders it makes sense to fetch.
    pub(super) needs_leaders: u64,
    /// Before that time it makes no sense to try again.
    pub(super) rest_until: Duration,
}

/// How far the first fetch of a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstLook {
    Due,
    Asked,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Where to begin is not known yet.
    Unopened,
    /// It is read.
    Open,
    /// The log does not have what follows; where to go on is to be found out.
    Astray(Astray),
    /// The log does not have what follows, and somebody has to decide.
    Lost { earliest: i64 },
}

/// Why a log does not have what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Astray {
    /// The leader says so.
    OutOfRange,
    /// The log was cut off at this offset.
    Truncated(i64),
    /// The topic was deleted and created anew.
    Recreated,
}

impl Held {
    pub(super) fn new(tag: u64, id: Uuid) -> Self {
        Self {
            tag,
            id,
            state: State::Unopened,
            position: 0,
            buffer: VecDeque::new(),
            buffered: 0,
            delivered: None,
            committed: 0,
            saved: false,
            to_save: false,
            epochs: VecDeque::new(),
            first_look: FirstLook::Due,
            needs_leaders: 0,
            rest_until: Duration::ZERO,
        }
    }

    /// Begins where the group stands.
    pub(super) fn open(&mut self, id: Uuid, from: &Progress, saved: bool) {
        self.id = id;
        self.state = State::Open;
        self.begin(from.next, from.epoch);
        self.saved = saved;
    }

    /// Begins elsewhere than where the group stands, which is to be saved.
    pub(super) fn reset(&mut self, tag: u64, id: Uuid, from: i64) {
        self.tag = tag;
        self.id = id;
        self.state = State::Open;
        self.begin(from, -1);
        self.to_save = true;
    }

    fn begin(&mut self, from: i64, epoch: i32) {
        self.position = from;
        self.clear();
        self.delivered = None;
        self.committed = from;
        self.saved = false;
        self.to_save = false;
        self.epochs.clear();
        if epoch >= 0 {
            self.epochs.push_back((from.saturating_sub(1), epoch));
        }
    }

    fn clear(&mut self) {
        self.buffer.clear();
        self.buffered = 0;
    }

    /// Reading does not go on here.
    pub(super) fn stray(&mut self, astray: Astray) {
        self.position = self.cursor();
        self.clear();
        self.state = State::Astray(astray);
    }

    /// Reading goes on after all, without comparing the log with what was read.
    pub(super) fn resume(&mut self) {
        self.state = State::Open;
        self.epochs.clear();
    }

    /// The first offset that may have a record and was not delivered.
    pub(super) fn cursor(&self) -> i64 {
        let front = self.buffer.front();
        front.map_or(self.position, |record| offset(&record.position))
    }

    /// The epoch of the leader under which the record before `position` was written.
    pub(super) fn last_epoch(&self) -> i32 {
        self.epochs.back().map_or(-1, |(_, epoch)| *epoch)
    }

    fn epoch_of(&self, offset: i64) -> i32 {
        let before = self.epochs.iter().rev().find(|(first, _)| *first <= offset);
        before.map_or(-1, |(_, epoch)| *epoch)
    }

    /// Takes in what a fetch from `position` has read.
    pub(super) fn fill(&mut self, read: Read) {
        self.position = read.next;
        self.buffered += read.records.iter().map(Record::bytes).sum::<usize>();
        self.buffer.extend(read.records);
        for (first, epoch) in read.epochs {
            if self.last_epoch() != epoch {
                self.epochs.push_back((first, epoch));
            }
        }
    }

    /// The next record, if it has at most that many bytes.
    pub(super) fn deliver(&mut self, at_most: usize) -> Option<Record> {
        let record = self
            .buffer
            .pop_front_if(|record| record.bytes() <= at_most)?;
        self.buffered = self.buffered.saturating_sub(record.bytes());
        self.delivered = Some(record.position.clone());
        Some(record)
    }

    pub(super) fn has_records(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// What a position that the caller has finished comes to.
    pub(super) fn finish(&self, finished: &Position) -> Finish {
        let place = offset(finished);
        if self.saved && place < self.committed {
            return Finish::Already;
        }
        let Some(delivered) = &self.delivered else {
            return Finish::NotDelivered;
        };
        let last = offset(delivered);
        if place > last {
            return Finish::NotDelivered;
        }
        // After the last one there may be markers, which nobody else will commit.
        let next = if place == last {
            self.cursor()
        } else {
            place.saturating_add(1)
        };
        Finish::Commit(self.progress(next, Some(finished)))
    }

    /// What to commit without being told to: where reading was reset, and what has nothing to
    /// deliver.
    pub(super) fn unsaved(&self) -> Option<Progress> {
        if self.state != State::Open {
            return None;
        }
        let finished = match &self.delivered {
            Some(delivered) => offset(delivered) < self.committed,
            None => true,
        };
        let cursor = self.cursor();
        let skipped = finished && cursor > self.committed;
        let next = if skipped { cursor } else { self.committed };
        (skipped || self.to_save).then(|| self.progress(next, self.delivered.as_ref()))
    }

    fn progress(&self, next: i64, last: Option<&Position>) -> Progress {
        Progress {
            next,
            epoch: self.epoch_of(next.saturating_sub(1)),
            note: Some(Note::new(self.id, last)),
        }
    }

    /// Notes that this is committed.
    pub(super) fn save(&mut self, next: i64) {
        self.saved = true;
        self.to_save = false;
        self.committed = self.committed.max(next);
        while self
            .epochs
            .get(1)
            .is_some_and(|(first, _)| *first < self.committed)
        {
            self.epochs.pop_front();
        }
    }
}

/// What a finished position comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// It is committed already, or more is.
    Already,
    /// This subscription has not delivered it, or not since reading began anew.
    NotDelivered,
    /// It is to be committed.
    Commit(Progress),
}

/// What is known of a partition that was read earlier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Former {
    pub(super) id: Uuid,
    pub(super) cursor: i64,
}

impl From<&Held> for Former {
    fn from(held: &Held) -> Self {
        let (id, cursor) = (held.id, held.cursor());
        Self { id, cursor }
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
