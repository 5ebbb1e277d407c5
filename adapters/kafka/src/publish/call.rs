//! A call that waits for the outcomes of its messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockade_change_feed::{FeedError, Published};
use tokio::sync::Notify;

pub(super) type Outcome = Result<Published, FeedError>;

/// A call, as far as those who send its messages see it.
#[derive(Debug)]
pub(super) struct Call {
    slots: Mutex<Slots>,
    settled: Notify,
    /// Whether nobody waits for it any more.
    abandoned: AtomicBool,
}

#[derive(Debug)]
struct Slots {
    slots: Vec<Slot>,
    open: usize,
    /// Why messages had to be sent again, last.
    trouble: Option<String>,
}

#[derive(Debug)]
enum Slot {
    /// It was not sent, or was not appended for certain.
    Waiting,
    /// It was sent.
    Sent,
    Settled(Outcome),
}

impl Call {
    /// A call with these outcomes known from the beginning.
    pub(super) fn new(refused: Vec<Option<FeedError>>) -> Self {
        let slots = refused.into_iter();
        let slots: Vec<Slot> = slots
            .map(|refused| refused.map_or(Slot::Waiting, |error| Slot::Settled(Err(error))))
            .collect();
        let open = slots
            .iter()
            .filter(|slot| !matches!(slot, Slot::Settled(_)))
            .count();
        let trouble = None;
        Self {
            slots: Mutex::new(Slots {
                slots,
                open,
                trouble,
            }),
            settled: Notify::new(),
            abandoned: AtomicBool::new(false),
        }
    }

    pub(super) fn settle(&self, place: usize, outcome: Outcome) {
        let mut slots = self.lock();
        if let Some(slot) = slots.slots.get_mut(place)
            && !matches!(slot, Slot::Settled(_))
        {
            *slot = Slot::Settled(outcome);
            slots.open -= 1;
            if slots.open == 0 {
                self.settled.notify_one();
            }
        }
    }

    /// Notes that a message may be appended from now on, and says whether it is still to be sent.
    pub(super) fn send(&self, place: usize) -> bool {
        match self.lock().slots.get_mut(place) {
            Some(slot) => {
                *slot = Slot::Sent;
                true
            }
            // The call has ended, and has said that nothing took effect.
            None => false,
        }
    }

    /// Notes that a message was not appended, and why.
    pub(super) fn put_back(&self, place: usize, why: &str) {
        let mut slots = self.lock();
        slots.trouble = Some(why.to_owned());
        if let Some(slot @ Slot::Sent) = slots.slots.get_mut(place) {
            *slot = Slot::Waiting;
        }
    }

    /// Notes why a message has to be sent again.
    pub(super) fn complain(&self, why: &str) {
        self.lock().trouble = Some(why.to_owned());
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    /// Waits until all is settled.
    pub(super) async fn settled(&self) {
        while self.lock().open > 0 {
            self.settled.notified().await;
        }
    }

    /// The outcomes; those that are open get one of these two, for what was not sent and for what
    /// was.
    pub(super) fn outcomes(
        &self,
        not_sent: impl Fn(String) -> FeedError,
        sent: impl Fn(String) -> FeedError,
    ) -> Vec<Outcome> {
        let mut slots = self.lock();
        let trouble = slots.trouble.clone();
        let trouble = || {
            trouble
                .clone()
                .unwrap_or_else(|| "there was no answer".to_owned())
        };
        let outcome = |slot| match slot {
            Slot::Waiting => Err(not_sent(trouble())),
            Slot::Sent => Err(sent(trouble())),
            Slot::Settled(outcome) => outcome,
        };
        std::mem::take(&mut slots.slots)
            .into_iter()
            .map(outcome)
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Slots> {
        // Nothing panics halfway through a change.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has what was not sent of a call left out, once nobody waits for it.
pub(super) struct Waiting(pub(super) Arc<Call>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.abandoned.store(true, Ordering::Release);
    }
}
