//! Returned publishes and commits survive a kill during calls.

pub(super) mod returned_publishes_and_commits_survive_a_kill {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use stockade_change_feed::{Group, Message, Record, SubscribeOptions, Topic};

    use super::super::FeedHarness;
    use super::super::reader::{Reader, group, limits, text};
    use crate::{Answers, Crash};

    const PARTITIONS: u32 = 2;
    const PAUSE: Duration = Duration::from_millis(10);

    pub(in super::super) async fn calls<H: FeedHarness + Crash>(h: H, answers: Answers) {
        let topic = h.create_topic(PARTITIONS).await;
        futures::join!(
            publish_on(&h, &topic, answers),
            commit_on(&h, &topic, answers)
        );
    }

    async fn publish_on<H: FeedHarness>(h: &H, topic: &Topic, answers: Answers) {
        let publisher = h.publisher();
        for number in 0_u64.. {
            for partition in 0..PARTITIONS {
                let message = Message::to_partition(partition, number.to_string());
                // It may fail where the server has been killed already.
                match publisher.publish(topic, vec![message]).await.as_deref() {
                    Ok([Ok(_)]) => {
                        answers.write(&format!("published {topic} {partition} {number}"));
                    }
                    _ => tokio::time::sleep(PAUSE).await,
                }
                // A publisher in memory never waits.
                tokio::task::yield_now().await;
            }
        }
    }

    async fn commit_on<H: FeedHarness>(h: &H, topic: &Topic, answers: Answers) {
        let (feed, group) = (h.feed(), group(topic.as_str()));
        let topics = std::slice::from_ref(topic);
        loop {
            let joined = feed.subscribe(&group, topics, SubscribeOptions::default());
            let Ok(mut member) = joined.await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            while let Ok(polled) = member.poll(&limits(10)).await {
                for record in polled.records {
                    let committed = member.commit(std::slice::from_ref(&record.position)).await;
                    if let Ok([Ok(())]) = committed.as_deref() {
                        let (partition, number) = number_of(&record);
                        answers.write(&format!("committed {topic} {partition} {number}"));
                    }
                }
            }
        }
    }

    fn number_of(record: &Record) -> (u32, u64) {
        let number = text(record).parse().expect("values are numbers");
        (record.position.partition.partition, number)
    }

    /// What the log acknowledged to the processes in a topic.
    #[derive(Default)]
    struct Told {
        published: BTreeSet<(u32, u64)>,
        /// The last commit of each partition.
        committed: BTreeMap<u32, u64>,
    }

    pub(in super::super) async fn check<H: FeedHarness + Crash>(h: H, answers: Vec<String>) {
        let mut topics: BTreeMap<&str, Told> = BTreeMap::new();
        for answer in &answers {
            let words: Vec<&str> = answer.split(' ').collect();
            let [what, topic, partition, number] = words[..] else {
                panic!("an answer has four words, not {answer:?}");
            };
            let number: u64 = number.parse().expect("the number of a record");
            let partition: u32 = partition.parse().expect("the number of a partition");
            let acknowledged = topics.entry(topic).or_default();
            if what == "published" {
                acknowledged.published.insert((partition, number));
            } else {
                acknowledged.committed.insert(partition, number);
            }
        }
        for (topic, acknowledged) in topics {
            let topic = Topic::new(topic).expect("it is a topic's name");
            // A group that has not read the topic yet: the checks of earlier kills had fewer answers.
            let fresh = group(&format!("check-{}", answers.len()));
            check_records(&h, &topic, &fresh, acknowledged.published).await;
            check_commits(&h, &topic, &acknowledged.committed).await;
        }
    }

    async fn check_records<H: FeedHarness>(
        h: &H,
        topic: &Topic,
        fresh: &Group,
        mut missing: BTreeSet<(u32, u64)>,
    ) {
        let topics = std::slice::from_ref(topic);
        let mut reader = Reader::join(h, fresh.as_str(), topics).await;
        reader.settle(PARTITIONS as usize).await;
        let mut idle = 0;
        while !missing.is_empty() && idle < 10 {
            let records = reader.poll(&limits(500)).await;
            idle = if records.is_empty() { idle + 1 } else { 0 };
            for record in &records {
                missing.remove(&number_of(record));
            }
        }
        if let Some((partition, number)) = missing.first() {
            panic!(
                "publishing record {number} to {topic}/{partition} returned before the kill, and \
                 it is lost, with {} others",
                missing.len() - 1
            );
        }
        reader.close().await;
    }

    async fn check_commits<H: FeedHarness>(h: &H, topic: &Topic, committed: &BTreeMap<u32, u64>) {
        let topics = std::slice::from_ref(topic);
        let mut reader = Reader::join(h, topic.as_str(), topics).await;
        reader.settle(PARTITIONS as usize).await;
        for _ in 0..3 {
            for record in reader.poll(&limits(500)).await {
                let (partition, number) = number_of(&record);
                let finished = committed.get(&partition);
                assert!(
                    finished.is_none_or(|finished| *finished < number),
                    "the commit of record {finished:?} of {topic}/{partition} returned before the \
                     kill, and it is lost: record {number} is delivered again"
                );
            }
        }
        reader.close().await;
    }
}
