//! A store, timers and a log that do what a script says, and then what they should.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::*;
use stockade_inventory_core::*;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// It arrives, and its answer does too.
    None,
    /// It does not arrive.
    Refused,
    /// It arrives, and its answer is lost.
    AnswerLost,
    /// It does not arrive, and there is never an answer.
    Silence,
}

#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Mutex<VecDeque<Fault>>>);

impl Script {
    pub(crate) fn add(&self, faults: &[Fault]) {
        self.0.lock().unwrap().extend(faults);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.lock().unwrap().is_empty()
    }

    pub(crate) async fn follow<T>(
        &self,
        call: impl Future<Output = Result<T, InventoryError>>,
    ) -> Result<T, InventoryError> {
        let fault = self.0.lock().unwrap().pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::None => call.await,
            Fault::Refused => Err(refused().into()),
            Fault::AnswerLost => {
                drop(call.await);
                Err(Failure::outcome_unknown("test", "answer lost").into())
            }
            Fault::Silence => std::future::pending().await,
        }
    }
}

fn refused() -> Failure {
    Failure::unavailable("test", Duration::ZERO, "refused")
}

/// How much a store does in a call that has a limit.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As much as the limit allows.
    Full,
    /// At most this much, and then it says that there is more.
    AtMost(NonZeroUsize),
    /// Nothing, and it says that there is more.
    Stuck,
}

impl Pace {
    /// The limit that reaches the store; none where it does nothing.
    pub(crate) fn limit(self, limit: NonZeroUsize) -> Option<NonZeroUsize> {
        match self {
            Self::Full => Some(limit),
            Self::AtMost(most) => Some(limit.min(most)),
            Self::Stuck => None,
        }
    }
}

/// A store, timers or an outbox behind a script.
#[derive(Clone)]
pub(crate) struct Faulty<S> {
    pub(crate) script: Script,
    pub(crate) pace: Pace,
    pub(crate) inner: S,
}

impl<S> Faulty<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            script: Script::default(),
            pace: Pace::Full,
            inner,
        }
    }

    pub(crate) fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }
}

#[async_trait]
impl<S: StockSource> StockSource for Faulty<S> {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.script.follow(self.inner.stock(skus)).await
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        self.script.follow(self.inner.scan(after, limit)).await
    }
}

#[async_trait]
impl<S: InventoryStore> InventoryStore for Faulty<S> {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        self.script.follow(self.inner.reserve(requests)).await
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        self.script.follow(self.inner.transition(request)).await
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.script.follow(self.inner.extend(request)).await
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        self.script.follow(self.inner.expire(ids)).await
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        let Some(limit) = self.pace.limit(limit) else {
            return Ok(Sweep::new(Vec::new(), Rest::More));
        };
        self.script.follow(self.inner.expire_overdue(limit)).await
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        self.script.follow(self.inner.adjust(adjustments)).await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        self.script.follow(self.inner.reservation(id)).await
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        self.script
            .follow(self.inner.movements(sku, after, limit))
            .await
    }
}

#[async_trait]
impl<S: StockOutbox> StockOutbox for Faulty<S> {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        self.inner.unpublished(after, limit).await
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        self.script
            .follow(self.inner.mark_published(published))
            .await
    }
}

#[async_trait]
impl<S: ReservationTimer> ReservationTimer for Faulty<S> {
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError> {
        self.script.follow(self.inner.arm(timers)).await
    }

    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError> {
        self.script.follow(self.inner.disarm(ids)).await
    }

    async fn due(
        &self,
        limit: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError> {
        // Only setting and removing fails: how often a worker waits is its own affair.
        self.inner.due(limit, wait).await
    }
}

type Hook = Box<dyn Fn(&Message) + Send + Sync>;

/// Keeps what it acknowledged, in three partitions.
#[derive(Clone, Default)]
pub(crate) struct Log {
    pub(crate) kept: Arc<Mutex<Vec<Message>>>,
    /// The keys that it refuses for the time being.
    pub(crate) refused: Arc<Mutex<Vec<String>>>,
    pub(crate) largest_batch: Arc<Mutex<usize>>,
    /// Called with each message, before it is kept.
    pub(crate) hook: Arc<Mutex<Option<Hook>>>,
}

impl Log {
    pub(crate) const PARTITIONS: u32 = 3;

    pub(crate) fn refuse(&self, keys: &[&str]) {
        *self.refused.lock().unwrap() = keys.iter().map(|key| (*key).to_owned()).collect();
    }

    /// What it got since the last call.
    pub(crate) fn take(&self) -> Vec<StockEvent> {
        let position = Position {
            partition: TopicPartition::new(inventory_updates(), 0),
            offset: Offset(0),
            timestamp: Timestamp::EPOCH,
        };
        let kept = std::mem::take(&mut *self.kept.lock().unwrap());
        let read = |message: Message| {
            let record = Record::new(position.clone())
                .with_key(message.key)
                .with_value(message.value)
                .with_headers(message.headers);
            StockEvent::from_record(&record).unwrap().unwrap()
        };
        kept.into_iter().map(read).collect()
    }

    fn append(&self, topic: &Topic, message: Message) -> Result<Published, FeedError> {
        if let Some(hook) = &*self.hook.lock().unwrap() {
            hook(&message);
        }
        let key = message.key.clone().unwrap_or_default();
        let partition = match message.route {
            Route::Partition(partition) => partition,
            Route::Key => u32::from(key[0]) % Self::PARTITIONS,
        };
        let name = String::from_utf8(key.to_vec()).unwrap();
        let heartbeat = format!("heartbeat-{partition}");
        let name = if name.is_empty() { heartbeat } else { name };
        if self.refused.lock().unwrap().contains(&name) {
            return Err(refused().into());
        }
        let mut kept = self.kept.lock().unwrap();
        kept.push(message);
        Ok(Published {
            partition: TopicPartition::new(topic.clone(), partition),
            offset: Offset(kept.len() as u128),
        })
    }
}

#[async_trait]
impl Publisher for Log {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let mut largest = self.largest_batch.lock().unwrap();
        *largest = messages.len().max(*largest);
        let messages = messages.into_iter();
        Ok(messages
            .map(|message| self.append(topic, message))
            .collect())
    }

    async fn partitions(&self, _topic: &Topic) -> Result<u32, FeedError> {
        Ok(Self::PARTITIONS)
    }
}
