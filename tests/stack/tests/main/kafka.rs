//! Kafka, asked by a client and by its own tools.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;
use stack::{
    Kafka, KafkaCluster, KafkaOptions, KafkaTool, Listener, Port, Proxy, RunningTool, Server as _,
};
use tempfile::TempDir;

async fn connect(bootstrap: &str) -> Client {
    let brokers = bootstrap.split(',').map(str::to_owned).collect();
    ClientBuilder::new(brokers).build().await.unwrap()
}

async fn topic(client: &Client, name: &str, replicas: i16) -> PartitionClient {
    let controller = client.controller_client().unwrap();
    controller
        .create_topic(name, 1, replicas, 10_000)
        .await
        .unwrap();
    partition(client, name).await
}

async fn partition(client: &Client, topic: &str) -> PartitionClient {
    let retry = UnknownTopicHandling::Retry;
    client.partition_client(topic, 0, retry).await.unwrap()
}

async fn produce(
    partition: &PartitionClient,
    value: Vec<u8>,
) -> rskafka::client::error::Result<Vec<i64>> {
    let record = Record {
        key: None,
        value: Some(value),
        headers: BTreeMap::new(),
        timestamp: chrono::DateTime::UNIX_EPOCH,
    };
    let none = Compression::NoCompression;
    partition.produce(vec![record], none).await
}

/// How long a server or a tool may take on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until this many records can be read, and returns all that can. A leader that was just
/// elected answers for a while that there are none, or that it does not know.
async fn consume(partition: &PartitionClient, count: usize) -> Vec<Vec<u8>> {
    let begun = Instant::now();
    loop {
        let fetched = partition.fetch_records(0, 0..1_000_000, 1_000).await;
        match fetched {
            Ok((records, _)) if records.len() >= count => {
                let values = records.into_iter().map(|record| record.record.value);
                return values.map(Option::unwrap).collect();
            }
            fetched => assert!(begun.elapsed() < PATIENCE, "{fetched:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits for what a running tool prints.
fn prints(tool: &RunningTool, text: &str) {
    let begun = Instant::now();
    while !tool.output().unwrap_or_default().contains(text) {
        let late = begun.elapsed() > PATIENCE;
        assert!(!late, "{text} not in {:?}", tool.output());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_comes_back_with_its_data_on_the_same_port() {
    let Some(mut kafka) = Kafka::for_test() else {
        return;
    };
    let url = kafka.url();
    let client = connect(&url).await;
    let stock = topic(&client, "stock", 1).await;
    produce(&stock, b"kept".to_vec()).await.unwrap();
    kafka.kill();
    std::net::TcpStream::connect(&url).expect_err("nobody answers any more");
    kafka.restart().unwrap();
    assert_eq!(kafka.url(), url);
    let stock = partition(&connect(&url).await, "stock").await;
    assert_eq!(consume(&stock, 1).await, [b"kept"]);
    kafka.stop().unwrap();
    kafka.restart().unwrap();
    let stock = partition(&connect(&url).await, "stock").await;
    assert_eq!(consume(&stock, 1).await, [b"kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_broker_is_silent_and_goes_on() {
    let Some(kafka) = Kafka::for_test() else {
        return;
    };
    let client = connect(&kafka.url()).await;
    let stock = topic(&client, "stock", 1).await;
    kafka.pause();
    let mut answer = Box::pin(async { produce(&stock, b"late".to_vec()).await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "a paused broker does not answer");
    kafka.resume();
    answer.await.unwrap();
    assert_eq!(consume(&stock, 1).await, [b"late"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_takes_settings_and_its_own_tools_find_a_group() {
    let options = KafkaOptions::new().set("message.max.bytes", "2000");
    let options = options.set("auto.create.topics.enable", "false");
    let Some(kafka) = options.for_test() else {
        return;
    };
    let url = kafka.url();
    let client = connect(&url).await;
    let stock = topic(&client, "stock", 1).await;
    produce(&stock, vec![b'x'; 1_000]).await.unwrap();
    let refused = produce(&stock, vec![b'x'; 3_000]).await.unwrap_err();
    assert!(refused.to_string().contains("TooLarge"), "{refused}");

    let to_missing = ["--topic", "missing", "--max-block-ms", "1000"];
    let missing = KafkaTool::ConsoleProducer.start(&url, &to_missing, "lost\n");
    drop(missing.unwrap().finish());
    let topics = KafkaTool::Topics.run(&url, &["--list"]).unwrap();
    assert_eq!(topics.lines().collect::<Vec<_>>(), ["stock"]);

    let consumer = KafkaTool::ConsoleConsumer;
    let as_group = ["--topic", "stock", "--group", "page", "--from-beginning"];
    let mut consumer = consumer.start(&url, &as_group, "").unwrap();
    prints(&consumer, "xxx");
    consumer.stop().unwrap();
    let describe = ["--describe", "--group", "page"];
    let group = KafkaTool::ConsumerGroups.run(&url, &describe).unwrap();
    let line = group.lines().find(|line| line.starts_with("page"));
    let fields: Vec<_> = line.unwrap().split_whitespace().collect();
    assert_eq!(fields[1..6], ["stock", "0", "1", "1", "0"], "{group}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_go_on_without_one_and_take_it_back() {
    let Some(mut cluster) = KafkaCluster::for_test() else {
        return;
    };
    let url = cluster.url();
    assert_eq!(url.split(',').count(), 3);
    let stock = topic(&connect(&url).await, "stock", 3).await;
    produce(&stock, b"before".to_vec()).await.unwrap();
    cluster.broker(1).kill();
    // Whoever led is followed by another, which a new client finds.
    let others = cluster.brokers()[1..].iter().map(Kafka::url);
    let others = others.collect::<Vec<_>>().join(",");
    let stock = partition(&connect(&others).await, "stock").await;
    let produced = produce(&stock, b"meanwhile".to_vec());
    let produced = tokio::time::timeout(PATIENCE, produced).await;
    produced.expect("another leads").unwrap();
    cluster.broker(1).restart().unwrap();
    cluster.agreed().unwrap();

    for id in 1..=3 {
        cluster.broker(id).kill();
    }
    cluster.restart().unwrap();
    let stock = partition(&connect(&url).await, "stock").await;
    assert_eq!(consume(&stock, 2).await, [&b"before"[..], b"meanwhile"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stays_with_the_proxy_that_it_came_by() {
    if Kafka::for_test().is_none() {
        return;
    }
    let port = Port::take().unwrap();
    let proxy = Proxy::start(port.address()).await.unwrap();
    let options = KafkaOptions::new().proxied(port, proxy.address());
    let kafka = options.start().unwrap();
    let direct = topic(&connect(&kafka.url()).await, "stock", 1).await;
    let client = connect(&proxy.address().to_string()).await;
    let stock = partition(&client, "stock").await;
    produce(&stock, b"1".to_vec()).await.unwrap();
    proxy.refuse();
    let cut = tokio::time::timeout(Duration::from_secs(2), stock.get_offset(OffsetAt::Latest));
    assert!(
        !matches!(cut.await, Ok(Ok(_))),
        "it has no way but the proxy"
    );
    assert_eq!(consume(&direct, 1).await, [b"1"]);
}

/// What a client of Java has to know to get in.
struct Login {
    folder: TempDir,
    authority: String,
}

impl Login {
    fn file(&self, protocol: &str, mechanism: &str, password: &str) -> String {
        let module = match mechanism {
            "PLAIN" => "plain.PlainLoginModule",
            "OAUTHBEARER" => "oauthbearer.OAuthBearerLoginModule",
            _ => "scram.ScramLoginModule",
        };
        let who = match mechanism {
            "OAUTHBEARER" => "unsecuredLoginStringClaim_sub=\"shop\"".to_owned(),
            _ => format!("username=\"shop\" password=\"{password}\""),
        };
        let path = self.folder.path().join(format!("{protocol}-{mechanism}"));
        let authority = &self.authority;
        fs::write(
            &path,
            format!(
                "security.protocol={protocol}\nsasl.mechanism={mechanism}\n\
                 sasl.jaas.config=org.apache.kafka.common.security.{module} required {who};\n\
                 ssl.truststore.type=PEM\nssl.truststore.location={authority}\n"
            ),
        )
        .unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_a_broker_lets_in_who_has_the_password() {
    let options = KafkaOptions::new().tls().user("shop", "secret");
    let Some(kafka) = options.for_test() else {
        return;
    };
    let authority = kafka.certificates().unwrap().authority();
    let login = Login {
        folder: tempfile::tempdir().unwrap(),
        authority: authority.to_str().unwrap().to_owned(),
    };
    let topics = |listener, file: &str| {
        let bootstrap = kafka.address(listener).to_string();
        let list = ["--list", "--command-config", file];
        KafkaTool::Topics.run(&bootstrap, &list)
    };
    KafkaTool::Topics
        .run(&kafka.url(), &["--create", "--topic", "stock"])
        .unwrap();
    for (listener, protocol, mechanism) in [
        (Listener::Tls, "SSL", "PLAIN"),
        (Listener::Sasl, "SASL_PLAINTEXT", "PLAIN"),
        (Listener::Sasl, "SASL_PLAINTEXT", "SCRAM-SHA-512"),
        (Listener::SaslTls, "SASL_SSL", "SCRAM-SHA-256"),
        (Listener::SaslTls, "SASL_SSL", "OAUTHBEARER"),
    ] {
        let said = topics(listener, &login.file(protocol, mechanism, "secret"));
        assert_eq!(said.unwrap().trim(), "stock", "{protocol} {mechanism}");
    }
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let wrong = login.file("SASL_PLAINTEXT", mechanism, "wrong");
        let refused = format!("{:#}", topics(Listener::Sasl, &wrong).unwrap_err());
        assert!(refused.contains("SaslAuthentication"), "{refused}");
    }
}
