//! A worker of change-feed over Kafka.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stockade_change_feed::{
    Batch, Consumer, DeadLetter, DeadLetters, Disposition, Group, Handler, Message, Publisher as _,
};
use stockade_kafka::{GroupProtocol, KafkaPublisher, TopicSettings};

use crate::harness::{bootstrap, client, create, unique};
use crate::member::{Member, behind, feed, numbers, text};

/// Takes all but what is poisonous.
#[derive(Default)]
struct Careful(Mutex<Vec<String>>);

#[async_trait]
impl Handler for Careful {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let mut taken = self.0.lock().unwrap();
        let records = batch.records.iter().map(text);
        records
            .map(|text| match text.as_str() {
                "poison" => Disposition::DeadLetter {
                    reason: "it is poisonous".to_owned(),
                },
                _ => {
                    taken.push(text);
                    Disposition::Done
                }
            })
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisonous_record_becomes_a_dead_letter_and_the_rest_flows() {
    let Ok(bootstrap) = bootstrap() else { return };
    let client = client(&bootstrap).await;
    let (topic, letters) = (
        create(&client, &TopicSettings::new(1)).await,
        create(&client, &TopicSettings::new(1)).await,
    );
    let publisher = Arc::new(KafkaPublisher::new(client.clone()));
    let mut messages: Vec<Message> = numbers(0..20)
        .into_iter()
        .map(|n| Message::keyed("k", n))
        .collect();
    messages.insert(7, Message::keyed("its key", "poison"));
    for outcome in publisher.publish(&topic, messages).await.unwrap() {
        outcome.unwrap();
    }

    let (feed, name) = (feed(&client, GroupProtocol::Newest), unique("group"));
    let handler = Arc::new(Careful::default());
    let consumer = Consumer::new(
        Arc::new(feed.clone()),
        Group::new(&name).unwrap(),
        vec![topic.clone()],
        handler.clone(),
    )
    .with_dead_letters(DeadLetters::new(publisher, letters.clone()));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = tokio::spawn(consumer.run(async move { drop(stopped.await) }));
    let until = Instant::now() + Duration::from_secs(60);
    while behind(&feed, &name, &topic).await > 0 {
        assert!(Instant::now() < until, "{:?}", handler.0.lock().unwrap());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();

    assert_eq!(*handler.0.lock().unwrap(), numbers(0..20));
    let mut reader = Member::join(&feed, &unique("group"), &letters).await;
    let letter = DeadLetter::from_record(&reader.read(1).await[0]).unwrap();
    assert_eq!(letter.origin.offset.0, 7);
    assert_eq!(letter.reason, "it is poisonous");
    let original = letter.record.unwrap();
    assert_eq!(
        (original.key.as_deref(), original.value.as_deref()),
        (Some(b"its key".as_slice()), Some(b"poison".as_slice()))
    );
}
