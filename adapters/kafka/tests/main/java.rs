//! Kafka's own programs see the same groups, and are members of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use stack::{KafkaTool, RunningTool};
use stockade_change_feed::{Feed as _, Group};
use stockade_kafka::{GroupProtocol, TopicSettings};

use crate::harness::{bootstrap, client, create, unique};
use crate::member::{Member, feed, number, text};

const PARTITIONS: u32 = 4;

/// The rows of `kafka-consumer-groups --describe`, by the names of their columns.
async fn described(bootstrap: &str, group: &str) -> Vec<BTreeMap<String, String>> {
    let (bootstrap, group) = (bootstrap.to_owned(), group.to_owned());
    let describe = move || KafkaTool::describe_group(&bootstrap, &group).unwrap();
    tokio::task::spawn_blocking(describe).await.unwrap()
}

async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !met().await {
        assert!(Instant::now() < end, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_java_consumer_shares_the_group() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for (protocol, java) in [
        (GroupProtocol::Newest, "consumer"),
        (GroupProtocol::Newest, "classic"),
        (GroupProtocol::Classic, "consumer"),
        (GroupProtocol::Classic, "classic"),
    ] {
        let (feed, group) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(PARTITIONS)).await;
        let mut member = Member::join(&feed, &group, &topic).await;
        member.settle(PARTITIONS as usize).await;
        let property = format!("group.protocol={java}");
        let arguments = [
            "--from-beginning",
            "--topic",
            topic.as_str(),
            "--group",
            &group,
            "--command-property",
            &property,
        ];
        let mut other = KafkaTool::ConsoleConsumer
            .start(&bootstrap, &arguments, "")
            .unwrap();
        until("Java's consumer takes its share", async || {
            member.poll(0).await;
            member.owned.len() == PARTITIONS as usize / 2
        })
        .await;
        for partition in 0..PARTITIONS {
            let from = partition as usize * 10;
            number(&client, &topic, partition, from..from + 10).await;
        }
        let read = member.read(20).await;
        for record in &read {
            member.commit(&record.position).await;
        }
        until("Java's consumer reads its own", async || {
            member.poll(0).await;
            lines(&other).len() == 20
        })
        .await;
        let mut all: Vec<usize> = read
            .iter()
            .map(|record| text(record).parse().unwrap())
            .collect();
        all.extend(
            lines(&other)
                .iter()
                .map(|line| line.parse::<usize>().unwrap()),
        );
        all.sort_unstable();
        assert_eq!(
            all,
            (0..40).collect::<Vec<_>>(),
            "{protocol:?} with {java}: each came once"
        );

        // It commits and leaves, and what it had goes on where it stopped.
        let stopping = tokio::task::spawn_blocking(move || {
            other.stop().unwrap();
            other
        });
        member.settle(PARTITIONS as usize).await;
        stopping.await.unwrap();
        member.expect_nothing().await;
        number(&client, &topic, 0, 100..101).await;
        assert_eq!(text(&member.read(1).await[0]), "100");
        member.close().await;
    }
}

fn lines(tool: &RunningTool) -> Vec<String> {
    tool.output()
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn kafkas_tool_tells_the_same_lag_and_the_same_members() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    for protocol in [GroupProtocol::Newest, GroupProtocol::Classic] {
        let (feed, name) = (feed(&client, protocol), unique("group"));
        let topic = create(&client, &TopicSettings::new(2)).await;
        number(&client, &topic, 0, 0..10).await;
        number(&client, &topic, 1, 0..4).await;
        let mut member = Member::join(&feed, &name, &topic).await;
        let read = member.read(14).await;
        for at in member.owned.clone() {
            let second = read
                .iter()
                .filter(|record| record.position.partition == at)
                .nth(1)
                .unwrap();
            member.commit(&second.position).await;
        }
        let (bootstrap, name) = (bootstrap.clone(), name.clone());
        let group = Group::new(&name).unwrap();
        let ours = feed
            .lag(&group, std::slice::from_ref(&topic))
            .await
            .unwrap();
        let told = tokio::spawn(async move { described(&bootstrap, &name).await });
        // It is asked while the member lives.
        while !told.is_finished() {
            member.poll(0).await;
        }
        let told = told.await.unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        for lag in ours {
            let number = lag.partition.partition.to_string();
            let row = told.iter().find(|row| row["PARTITION"] == number).unwrap();
            assert_eq!(row["LAG"], lag.records.unwrap().to_string(), "{row:?}");
            assert_ne!(row["CONSUMER-ID"], "-", "{row:?}");
        }
    }
}
