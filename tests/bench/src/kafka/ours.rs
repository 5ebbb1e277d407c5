//! Our publisher and our feed.

use std::time::Instant;

use anyhow::ensure;
use async_trait::async_trait;
use stockade_change_feed::{
    Feed as _, Group, Message, PollLimits, Publisher as _, SubscribeOptions, Subscription, Topic,
};
use stockade_kafka::{KafkaClient, KafkaFeed, KafkaPublisher};

use super::{Client, PACE, Percentiles, Work, in_calls};
use crate::measure::paced;

pub(super) struct Ours {
    publisher: KafkaPublisher,
    feed: KafkaFeed,
}

impl Ours {
    pub(super) fn new(client: KafkaClient) -> Self {
        Self {
            publisher: KafkaPublisher::new(client.clone()),
            feed: KafkaFeed::new(client),
        }
    }

    async fn member(&self, topic: &Topic) -> anyhow::Result<Box<dyn Subscription>> {
        let (group, options) = (Group::new(topic.as_str())?, SubscribeOptions::default());
        let topics = [topic.clone()];
        Ok(self.feed.subscribe(&group, &topics, options).await?)
    }
}

async fn publish(
    publisher: &KafkaPublisher,
    topic: &Topic,
    messages: Vec<Message>,
) -> anyhow::Result<()> {
    for outcome in publisher.publish(topic, messages).await? {
        outcome?;
    }
    Ok(())
}

fn message(size: usize) -> Message {
    Message::to_partition(0, vec![b'x'; size])
}

#[async_trait(?Send)]
impl Client for Ours {
    async fn publish(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64> {
        let message = message(work.size);
        let call = async |records| {
            let messages = vec![message.clone(); records];
            publish(&self.publisher, topic, messages).await
        };
        in_calls(work.records, &call).await?;
        in_calls(work.records, &call).await
    }

    async fn read(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64> {
        let mut member = self.member(topic).await?;
        let limits = PollLimits::default();
        // The first poll joins the group.
        let mut read = member.poll(&limits).await?.records.len();
        while read == 0 {
            read = member.poll(&limits).await?.records.len();
        }
        let (first, begun) = (read, Instant::now());
        let mut last = None;
        while read < 2 * work.records {
            let polled = member.poll(&limits).await?;
            read += polled.records.len();
            last = polled
                .records
                .last()
                .map(|record| record.position.clone())
                .or(last);
        }
        let rate = (read - first) as f64 / begun.elapsed().as_secs_f64();
        for outcome in member.commit(last.as_slice()).await? {
            outcome?;
        }
        member.close().await?;
        Ok(rate)
    }

    async fn publish_paced(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles> {
        let took = paced(work.paced, PACE, |_| {
            let (publisher, topic) = (self.publisher.clone(), topic.clone());
            let message = message(work.size);
            async move { publish(&publisher, &topic, vec![message]).await }
        });
        Ok(took.await?.into())
    }

    async fn publish_and_read(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles> {
        let mut member = self.member(topic).await?;
        let limits = PollLimits::default();
        while member.poll(&limits).await?.gained.is_empty() {}
        let mut took = Vec::new();
        for _ in 0..work.single {
            let started = Instant::now();
            publish(&self.publisher, topic, vec![message(work.size)]).await?;
            let mut polled = member.poll(&limits).await?;
            while polled.records.is_empty() {
                polled = member.poll(&limits).await?;
            }
            took.push(started.elapsed());
            let records = polled.records.len();
            ensure!(records == 1, "{records} records");
        }
        member.close().await?;
        Ok(took.into())
    }
}
