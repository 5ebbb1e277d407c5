//! The command as an operator runs it, over real servers.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::{Value, json};
use stack::Kind;
use stockade_change_feed::{
    DeadLetter, DeadLetters, Feed, Group, Message, PollLimits, Position, Publisher, Record,
    SubscribeOptions, Timestamp, Topic,
};
use stockade_kafka::{KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, TopicSettings};
use stockade_postgres::{PostgresFeed, connect};

/// A log with an original of two groups' letters.
struct Log {
    /// The option that names the log, and its value.
    option: [String; 2],
    feed: Arc<dyn Feed>,
    publisher: Arc<dyn Publisher>,
    origin: Topic,
    letters: Topic,
}

impl Log {
    async fn kafka(brokers: String) -> Self {
        let client = KafkaClient::connect(KafkaConfig::new(brokers.split(',')).unwrap())
            .await
            .unwrap();
        let (origin, letters) = (unique("origin"), unique("dead"));
        for topic in [&origin, &letters] {
            let problems = client
                .ensure_topic(topic, &TopicSettings::new(2))
                .await
                .unwrap();
            assert_eq!(problems, []);
        }
        Self {
            option: ["--kafka".to_owned(), brokers],
            publisher: Arc::new(KafkaPublisher::new(client.clone())),
            feed: Arc::new(KafkaFeed::new(client)),
            origin,
            letters,
        }
    }

    async fn postgres(url: String) -> Self {
        let feed = Arc::new(PostgresFeed::new(connect(&url).await.unwrap()));
        feed.migrate().await.unwrap();
        Self {
            option: ["--postgres".to_owned(), url],
            feed: feed.clone(),
            publisher: feed,
            origin: unique("origin"),
            letters: unique("dead"),
        }
    }

    /// Publishes a record, and stores a letter for it.
    async fn give_up(&self, text: &str, group: &str, reason: &str) {
        let message = Message::keyed(text.to_owned(), text.to_owned());
        let published = self.publisher.publish(&self.origin, vec![message]).await;
        let published = published.unwrap().remove(0).unwrap();
        let record = Record::new(Position {
            partition: published.partition,
            offset: published.offset,
            timestamp: Timestamp::EPOCH,
        })
        .with_key(Some(text.to_owned().into()))
        .with_value(Some(text.to_owned().into()));
        let letter = DeadLetter::new(record, Group::new(group).unwrap(), 3, reason);
        let store = DeadLetters::new(self.publisher.clone(), self.letters.clone());
        for outcome in store.store(&[letter]).await.unwrap() {
            outcome.unwrap();
        }
    }

    /// Runs the command with this action.
    fn run(&self, action: &[&str]) -> Output {
        let output = command()
            .args(action)
            .args(["--topic", self.letters.as_str()])
            .args(&self.option)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        output
    }

    /// The reasons of the letters that wait, and what the command says of them.
    fn listed(&self, action: &[&str]) -> Vec<String> {
        let output = self.run(action);
        let lines = String::from_utf8(output.stdout).unwrap();
        let mut reasons: Vec<_> = lines
            .lines()
            .map(|line| {
                let letter: Value = serde_json::from_str(line).unwrap();
                assert_eq!(letter["attempts"], json!(3));
                assert_eq!(letter["key"], letter["value"]);
                letter["reason"].as_str().unwrap().to_owned()
            })
            .collect();
        reasons.sort();
        reasons
    }

    /// The values in the topic of the originals.
    async fn originals(&self) -> Vec<String> {
        let group = Group::new(format!("{}-reader", self.origin)).unwrap();
        let topics = [self.origin.clone()];
        let options = SubscribeOptions::default();
        let mut reader = self.feed.subscribe(&group, &topics, options).await.unwrap();
        let mut values = Vec::new();
        let lags = self.feed.lag(&group, &topics).await.unwrap();
        let published: u64 = lags.iter().map(|lag| lag.records.unwrap()).sum();
        while (values.len() as u64) < published {
            let polled = reader.poll(&PollLimits::default()).await.unwrap();
            let texts = polled
                .records
                .into_iter()
                .map(|record| record.value.unwrap());
            values.extend(texts.map(|text| String::from_utf8(text.into()).unwrap()));
        }
        values.sort();
        values
    }

    async fn can_be_dealt_with(self) {
        self.give_up("one", "billing", "no such customer").await;
        self.give_up("two", "billing", "no such currency").await;
        self.give_up("three", "search", "too long").await;
        let all = ["no such currency", "no such customer", "too long"];
        assert_eq!(self.listed(&["list"]), all);
        assert_eq!(self.listed(&["list", "--group", "search"]), ["too long"]);
        assert_eq!(
            self.listed(&["list", "--reason", "customer"]),
            ["no such customer"]
        );
        assert_eq!(self.listed(&["list"]), all);

        let replayed = self.run(&["replay", "--group", "billing", "--reason", "customer"]);
        let said = String::from_utf8(replayed.stderr).unwrap();
        assert_eq!(said, "1 replayed, 0 discarded, 2 waiting\n");
        assert_eq!(self.listed(&["list"]), ["no such currency", "too long"]);
        let discarded = self.run(&["discard", "--group", "search"]);
        let said = String::from_utf8(discarded.stderr).unwrap();
        assert_eq!(said, "0 replayed, 1 discarded, 1 waiting\n");
        self.run(&["replay"]);
        assert!(self.listed(&["list"]).is_empty());
        assert_eq!(
            self.originals().await,
            ["one", "one", "three", "two", "two"]
        );
    }
}

fn unique(prefix: &str) -> Topic {
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_micros();
    Topic::new(format!("{prefix}-{}-{started}", std::process::id())).unwrap()
}

/// The command, without the options in the environment of the tests.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dead-letters"));
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("DEAD_LETTERS_"));
    for (name, _) in ours {
        command.env_remove(name);
    }
    command.env_remove("RUST_LOG");
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_in_kafka_are_listed_replayed_and_discarded() {
    if let Some(server) = Kind::Kafka.given_for_test() {
        Log::kafka(server).await.can_be_dealt_with().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_in_postgres_are_listed_replayed_and_discarded() {
    if let Some(server) = Kind::Postgres.given_for_test() {
        Log::postgres(server).await.can_be_dealt_with().await;
    }
}

#[test]
fn what_is_missing_is_named() {
    for (arguments, missing) in [
        (&["list"][..], "--kafka HOST:PORT or --postgres URL"),
        (&["discard", "--kafka", "localhost:9"], "--all"),
        (
            &["list", "--kafka", "localhost:9", "--postgres", "x"],
            "--postgres",
        ),
        (
            &["list", "--topic", "a topic", "--kafka", "localhost:9"],
            "\"a topic\"",
        ),
    ] {
        let output = command().args(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}");
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains(missing), "{arguments:?}: {errors}");
    }
}
