//! TLS, and every way to say who one is.

use std::error::Error;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use stack::{Certificates, KafkaOptions, Listener};
use stockade_change_feed::{Message, Publisher as _, Retry};
use stockade_kafka::{
    BearerToken, GroupProtocol, KafkaClient, KafkaConfig, KafkaError, KafkaPublisher, Sasl, Tls,
    TokenSource, TopicSettings,
};

use crate::harness::{create, unique};
use crate::member::{Member, feed, texts};

fn trusting(certificates: &Certificates) -> Tls {
    Tls::trusting(&fs::read(certificates.authority()).unwrap()).unwrap()
}

/// Writes and reads.
async fn use_it(config: KafkaConfig) {
    let client = KafkaClient::connect(config).await.unwrap();
    let topic = create(&client, &TopicSettings::new(1)).await;
    let publisher = KafkaPublisher::new(client.clone());
    let large = "x".repeat(300_000);
    let messages = vec![Message::keyed("k", "v"), Message::keyed("k", large.clone())];
    for outcome in publisher.publish(&topic, messages).await.unwrap() {
        outcome.unwrap();
    }
    let mut member = Member::join(
        &feed(&client, GroupProtocol::Newest),
        &unique("group"),
        &topic,
    )
    .await;
    let read = member.read(2).await;
    assert_eq!(texts(&read), ["v", &large]);
    member.commit(&read[1].position).await;
    member.close().await;
}

struct Unsigned;

#[async_trait]
impl TokenSource for Unsigned {
    async fn token(&self) -> Result<BearerToken, Box<dyn Error + Send + Sync>> {
        // {"alg":"none"} and {"sub":"ada","iat":…,"exp":…}, without signature.
        let now = chrono::Utc::now().timestamp();
        let claims = format!(r#"{{"sub":"ada","iat":{now},"exp":{}}}"#, now + 600);
        Ok(BearerToken::new(format!(
            "{}.{}.",
            base64(r#"{"alg":"none"}"#),
            base64(&claims)
        )))
    }
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut encoded = String::new();
    for bytes in text.as_bytes().chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, n| {
            bits << 8 | u32::from(*bytes.get(n).unwrap_or(&0))
        });
        for n in 0..=bytes.len() {
            encoded.push(char::from(LETTERS[(bits >> (18 - 6 * n)) as usize & 63]));
        }
    }
    encoded
}

fn ways() -> [Sasl; 4] {
    [
        Sasl::plain("ada", "a password"),
        Sasl::scram_sha_256("ada", "a password"),
        Sasl::scram_sha_512("ada", "a password"),
        Sasl::oauth_bearer(Arc::new(Unsigned)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_every_mechanism_work_alone_and_together() {
    let start = || {
        KafkaOptions::new()
            .tls()
            .user("ada", "a password")
            .for_test()
    };
    let Some(kafka) = tokio::task::spawn_blocking(start).await.unwrap() else {
        return;
    };
    let certificates = kafka.certificates().unwrap().clone();
    let at = |listener| KafkaConfig::new([kafka.address(listener).to_string()]).unwrap();

    use_it(at(Listener::Tls).with_tls(trusting(&certificates))).await;
    let read = |path| fs::read(path).unwrap();
    let mutual = Tls::mutual(
        &read(certificates.authority()),
        &read(certificates.client()),
        &read(certificates.client_key()),
    );
    use_it(at(Listener::Tls).with_tls(mutual.unwrap())).await;
    for sasl in ways() {
        use_it(at(Listener::Sasl).with_sasl(sasl.clone())).await;
        let both = at(Listener::SaslTls)
            .with_tls(trusting(&certificates))
            .with_sasl(sasl);
        use_it(both).await;
    }

    // The machine's own authorities did not sign this one.
    if let Ok(system) = Tls::system() {
        let config = at(Listener::Tls).with_tls(system);
        let error = KafkaClient::connect(config).await.unwrap_err();
        assert_eq!(error.retry(), Retry::Never, "{error}");
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<KafkaError>());
        assert!(
            matches!(source, Some(KafkaError::Untrusted { .. })),
            "{error:?}"
        );
    }
    // Neither speaks what the other does.
    let config = at(Listener::Plain).with_tls(trusting(&certificates));
    let error = KafkaClient::connect(config).await.unwrap_err();
    assert!(error.to_string().contains("tls"), "{error}");
    let error = KafkaClient::connect(at(Listener::Sasl)).await.unwrap_err();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
    tokio::task::spawn_blocking(move || drop(kafka))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_outlive_the_time_that_credentials_are_good_for() {
    let start = || {
        KafkaOptions::new()
            .user("ada", "a password")
            .set("connections.max.reauth.ms", "4000")
            .for_test()
    };
    let Some(kafka) = tokio::task::spawn_blocking(start).await.unwrap() else {
        return;
    };
    let config = KafkaConfig::new([kafka.address(Listener::Sasl).to_string()]).unwrap();
    let config = config.with_sasl(Sasl::scram_sha_256("ada", "a password"));
    let client = KafkaClient::connect(config).await.unwrap();
    let topic = create(&client, &TopicSettings::new(1)).await;
    let publisher = KafkaPublisher::new(client.clone());
    let mut member = Member::join(&feed(&client, GroupProtocol::Newest), "g", &topic).await;
    for n in 0..10 {
        let message = vec![Message::keyed("k", n.to_string())];
        publisher
            .publish(&topic, message)
            .await
            .unwrap()
            .remove(0)
            .unwrap();
        let read = member.read(1).await;
        assert_eq!(texts(&read), [n.to_string()]);
        member.commit(&read[0].position).await;
        tokio::time::sleep(std::time::Duration::from_millis(1_000)).await;
    }
    assert_eq!(member.lost, [], "it was never given up");
    tokio::task::spawn_blocking(move || drop(kafka))
        .await
        .unwrap();
}
