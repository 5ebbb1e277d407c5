//! Publishing: batches by partition, each of which is in the log once however often it was sent.

mod batch;
mod call;
mod produce;
mod queue;
mod route;
#[cfg(feature = "rskafka")]
mod rskafka;
mod sender;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared as SharedFuture};
use stockade_change_feed::{
    Failure, FeedError, Message, Published, Publisher, Topic, TopicPartition,
};
use tokio::sync::{Semaphore, SemaphorePermit};

pub use self::batch::Compression;
use self::call::{Call, Waiting};
use self::queue::{Batching, Pending};
use self::route::route;
#[cfg(feature = "rskafka")]
pub use self::rskafka::RskafkaPublisher;
use self::sender::{Manner, Shared};
use crate::cluster::{KafkaClient, TopicInfo};
use crate::error::Effect;

const PUBLISH: &str = "publish";
/// Brokers end the connection of who sends more at once (`socket.request.max.bytes`), and say
/// nothing.
const LARGEST: usize = 100_000_000;
/// What a record needs beside key, value and headers, at most.
const OVERHEAD: usize = 32;
const SOON: Duration = Duration::from_millis(100);

/// Publishes to topics that exist, as an idempotent producer that waits for all replicas in sync.
/// Clones share what waits.
///
/// - A batch that has to be sent again, because its reply was lost or a leader moved, is in the
///   log once, in its place.
/// - Keys go where Java's producers put them. Messages without a key and without a partition go
///   where the empty key goes.
/// - While a batch is on its way, what follows for its partition forms the next one: alone, a
///   message waits for nothing.
/// - It starts no task: whoever waits for an outcome drives all that is to be sent. What was not
///   sent when its caller left is not sent any more.
///
/// ```no_run
/// use stockade_change_feed::{Message, Publisher, Topic};
/// use stockade_kafka::{KafkaClient, KafkaConfig, KafkaPublisher};
///
/// # async fn run() -> Result<(), stockade_change_feed::FeedError> {
/// let client = KafkaClient::connect(KafkaConfig::new(["kafka:9092"])?).await?;
/// let publisher = KafkaPublisher::new(client);
/// let topic = Topic::new("inventory_updates")?;
/// for outcome in publisher.publish(&topic, vec![Message::keyed("lamp", "{}")]).await? {
///     println!("offset {}", outcome?.offset);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct KafkaPublisher {
    shared: Arc<Shared>,
    sender: SharedFuture<BoxFuture<'static, ()>>,
    /// A permit for each byte that may wait.
    room: Arc<Semaphore>,
    options: Options,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    manner: Manner,
    timeout: Duration,
    room: u32,
}

impl KafkaPublisher {
    /// A publisher with the defaults that its options state.
    #[must_use]
    pub fn new(client: KafkaClient) -> Self {
        let batching = Batching {
            linger: Duration::ZERO,
            // With its overhead it is below the brokers' default limit of 1,048,588.
            bytes: 1_000_000,
        };
        let manner = Manner {
            batching,
            compression: Compression::None,
        };
        let options = Options {
            manner,
            timeout: Duration::from_secs(30),
            room: 32 << 20,
        };
        Self::build(client, options)
    }

    fn build(client: KafkaClient, options: Options) -> Self {
        let shared = Arc::new(Shared::new(client));
        let sender = sender::run(shared.clone(), options.manner).boxed().shared();
        Self {
            shared,
            sender,
            room: Arc::new(Semaphore::new(options.room as usize)),
            options,
        }
    }

    fn with(self, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = self.options;
        change(&mut options);
        Self::build(self.shared.client.clone(), options)
    }

    /// With a time for which a first message waits for others of its partition (none).
    #[must_use]
    pub fn with_linger(self, linger: Duration) -> Self {
        self.with(|options| options.manner.batching.linger = linger)
    }

    /// With another limit for a batch (1,000,000 bytes). A larger message goes alone; what the
    /// topic takes is for the brokers to say.
    #[must_use]
    pub fn with_batch_bytes(self, bytes: usize) -> Self {
        self.with(|options| options.manner.batching.bytes = bytes.max(1))
    }

    /// With compressed batches ([`Compression::None`]).
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        self.with(|options| options.manner.compression = compression)
    }

    /// With another limit for what waits, of all callers together (32 MiB). Beyond it, callers wait
    /// for room.
    #[must_use]
    pub fn with_queue_bytes(self, bytes: u32) -> Self {
        self.with(|options| options.room = bytes.clamp(1, u32::MAX >> 4))
    }

    /// With another time until a call ends, whatever its outcomes are by then (30 s).
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.with(|options| options.timeout = timeout)
    }

    /// The topic, if it exists.
    async fn topic(&self, operation: &'static str, topic: &Topic) -> Result<TopicInfo, FeedError> {
        if let Some(info) = self.shared.queue().topics.get(topic) {
            return Ok(info.clone());
        }
        self.ask(operation, topic).await
    }

    async fn ask(&self, operation: &'static str, topic: &Topic) -> Result<TopicInfo, FeedError> {
        let client = &self.shared.client;
        let limit = client.config().request_timeout.min(self.options.timeout);
        let found = client
            .persist(limit, || client.topics(std::slice::from_ref(topic)))
            .await;
        let mut found = found.map_err(|error| error.during(operation, Effect::None))?;
        let Some(info) = found.remove(topic) else {
            return Err(FeedError::UnknownTopic {
                topic: topic.clone(),
            });
        };
        self.shared
            .queue()
            .topics
            .insert(topic.clone(), info.clone());
        Ok(info)
    }

    /// The partition of each message, where there is one.
    async fn routes(
        &self,
        topic: &Topic,
        messages: &[Message],
    ) -> Result<Vec<Result<u32, FeedError>>, FeedError> {
        let mut count = self.topic(PUBLISH, topic).await?.count();
        let routes = |count: u32| {
            let route = |message: &Message| match message.bytes() {
                ..LARGEST => route(topic, message, count),
                bytes => Err(FeedError::TooLarge {
                    topic: topic.clone(),
                    bytes,
                    limit: LARGEST,
                }),
            };
            messages.iter().map(route).collect::<Vec<_>>()
        };
        let mut found = routes(count);
        if found.iter().any(Result::is_err) {
            // It may have grown.
            count = self.ask(PUBLISH, topic).await?.count();
            found = routes(count);
        }
        Ok(found)
    }

    async fn room(&self, messages: &[Message]) -> Result<SemaphorePermit<'_>, FeedError> {
        let bytes: usize = messages.iter().map(size).sum();
        let bytes = u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .min(self.options.room);
        let full = || {
            let why = format!("{} bytes of messages wait already", self.options.room);
            Failure::unavailable(PUBLISH, SOON, why)
        };
        // What waits is sent by those who wait for it.
        let permit = self.room.acquire_many(bytes).await;
        permit.map_err(|_| full().into())
    }

    fn enqueue(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
        routes: Vec<Result<u32, FeedError>>,
    ) -> Arc<Call> {
        let clock = self.shared.client.clock();
        let (now, millis) = (clock.monotonic(), clock.now().as_millis());
        let refused = routes.iter().map(|route| route.as_ref().err().cloned());
        let call = Arc::new(Call::new(refused.collect()));
        let mut queue = self.shared.queue();
        for (place, (message, route)) in messages.into_iter().zip(routes).enumerate() {
            let Ok(partition) = route else {
                continue;
            };
            let pending = Pending {
                bytes: size(&message),
                message,
                millis,
                call: call.clone(),
                place,
            };
            queue.add(TopicPartition::new(topic.clone(), partition), pending, now);
        }
        drop(queue);
        self.shared.wake();
        call
    }
}

/// What a message takes in a batch, about.
fn size(message: &Message) -> usize {
    message.bytes() + OVERHEAD
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let clock = self.shared.client.config().clock.clone();
        let limit = self.options.timeout;
        let mut late = std::pin::pin!(clock.sleep(limit));
        let prepared = async {
            let routes = self.routes(topic, &messages).await?;
            let room = self.room(&messages).await?;
            Ok::<_, FeedError>((routes, room))
        };
        let (routes, _room) = tokio::select! {
            biased;
            prepared = prepared => prepared?,
            () = &mut late => {
                let why = format!("no room or no answer within {limit:?}");
                return Err(Failure::unavailable(PUBLISH, SOON, why).into());
            }
        };
        let call = self.enqueue(topic, messages, routes);
        let waiting = Waiting(call.clone());
        tokio::select! {
            biased;
            () = call.settled() => {}
            () = self.sender.clone() => {}
            () = late => {}
        }
        drop(waiting);
        Ok(call.outcomes(
            |why| Failure::unavailable(PUBLISH, SOON, why).into(),
            |why| Failure::outcome_unknown(PUBLISH, why).into(),
        ))
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        Ok(self.ask("count partitions", topic).await?.count())
    }
}

impl fmt::Debug for KafkaPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaPublisher")
            .field("client", &self.shared.client)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
