//! Kafka's own tools that measure.

use anyhow::Context as _;
use async_trait::async_trait;
use stack::KafkaTool;
use stockade_change_feed::Topic;
use tokio::task::block_in_place;

use super::{Client, Percentiles, Work};

/// As large as ours; by default they are 16 KiB.
const BATCH: &str = "batch.size=1000000";
/// Nothing is committed twice.
const ALL: &str = "acks=all";

pub(super) struct Java(String);

impl Java {
    pub(super) fn new(bootstrap: &str) -> Self {
        Self(bootstrap.to_owned())
    }

    fn run(&self, tool: KafkaTool, arguments: &[&str]) -> anyhow::Result<String> {
        block_in_place(|| tool.run(&self.0, arguments))
    }

    /// The last line about records that were sent, without those of the warm-up.
    fn produce(
        &self,
        topic: &Topic,
        records: usize,
        work: &Work,
        throughput: &str,
        linger: &str,
    ) -> anyhow::Result<String> {
        let (all, first) = ((2 * records).to_string(), records.to_string());
        let arguments = [
            "--topic",
            topic.as_str(),
            "--num-records",
            &all,
            "--warmup-records",
            &first,
            "--record-size",
            &work.size.to_string(),
            "--throughput",
            throughput,
            "--command-property",
            ALL,
            BATCH,
            linger,
        ];
        let said = self.run(KafkaTool::ProducerPerfTest, &arguments)?;
        let line = said.lines().rfind(|line| line.contains("99th"));
        Ok(line.with_context(|| said.clone())?.to_owned())
    }
}

/// The number before these words.
fn before(line: &str, words: &str) -> anyhow::Result<f64> {
    let (text, _) = line.split_once(words).with_context(|| line.to_owned())?;
    let number = text.trim_end().rsplit([' ', ',', '(']).next();
    let number = number.with_context(|| line.to_owned())?;
    number.parse().with_context(|| line.to_owned())
}

#[async_trait(?Send)]
impl Client for Java {
    async fn publish(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64> {
        let line = self.produce(topic, work.records, work, "-1", "linger.ms=5")?;
        before(&line, "records/sec")
    }

    async fn read(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64> {
        let arguments = [
            "--topic",
            topic.as_str(),
            "--num-records",
            &(2 * work.records).to_string(),
        ];
        let said = self.run(KafkaTool::ConsumerPerfTest, &arguments)?;
        // Names, then values; the last one is without the time of joining a group.
        let values = said.lines().rfind(|line| line.contains(", "));
        let rate = values.and_then(|line| line.rsplit(", ").next());
        let rate = rate.with_context(|| said.clone())?;
        rate.trim().parse().with_context(|| said.clone())
    }

    async fn publish_paced(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles> {
        let line = self.produce(topic, work.paced, work, "1000", "linger.ms=0")?;
        Ok(Percentiles {
            p50: before(&line, "ms 50th")?,
            p99: before(&line, "ms 99th")?,
        })
    }

    async fn publish_and_read(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles> {
        let arguments = [
            "--topic",
            topic.as_str(),
            "--num-records",
            &work.single.to_string(),
            "--producer-acks",
            "all",
            "--record-size",
            &work.size.to_string(),
        ];
        let said = self.run(KafkaTool::EndToEndLatency, &arguments)?;
        let line = said.lines().find(|line| line.starts_with("Percentiles"));
        let line = line.with_context(|| said.clone())?;
        let after = |words: &str| -> anyhow::Result<f64> {
            let (_, rest) = line.split_once(words).with_context(|| said.clone())?;
            let number = rest.split([',', ' ']).next().unwrap_or_default();
            number.parse().with_context(|| said.clone())
        };
        Ok(Percentiles {
            p50: after("50th = ")?,
            p99: after("99th = ")?,
        })
    }
}
