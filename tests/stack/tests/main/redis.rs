//! Redis by itself and as a cluster, asked by a client and by its own tool.

use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike as _, KeysInterface as _};
use fred::types::Builder;
use fred::types::config::{Config, TlsConnector};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use stack::{Certificates, Redis, RedisCluster, RedisOptions, Server as _};

fn trusting(certificates: &Certificates) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(certificates.authority()).unwrap();
    roots.add(authority).unwrap();
    let provider = rustls::crypto::ring::default_provider().into();
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
        .into()
}

async fn connect(url: &str, certificates: Option<&Certificates>) -> Result<Client, Error> {
    let mut config = Config::from_url(url)?;
    if let Some(certificates) = certificates {
        config.tls = Some(trusting(certificates).into());
    }
    config.fail_fast = true;
    let client = Builder::from_config(config).build()?;
    client.init().await?;
    Ok(client)
}

async fn set(client: &Client, key: &str, value: &str) -> Result<(), Error> {
    client.set(key, value, None, None, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_what_it_saved_and_comes_back_from_any_dump() {
    let Some(mut redis) = Redis::for_test() else {
        return;
    };
    let url = redis.url();
    let client = connect(&url, None).await.unwrap();
    set(&client, "kept", "1").await.unwrap();
    let old = redis.save().unwrap();
    set(&client, "kept", "2").await.unwrap();
    redis.save().unwrap();
    set(&client, "kept", "unsaved").await.unwrap();

    redis.kill();
    redis.cli(&["PING"]).expect_err("nobody answers any more");
    redis.restart().unwrap();
    assert_eq!(redis.url(), url);
    assert_eq!(redis.cli(&["GET", "kept"]).unwrap(), "2");
    redis.restart_from(&old).unwrap();
    assert_eq!(redis.cli(&["GET", "kept"]).unwrap(), "1");
    redis.stop().unwrap();
    redis.restart_empty().unwrap();
    assert_eq!(redis.cli(&["EXISTS", "kept"]).unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_keeps_every_write_where_it_is_set_to() {
    let options = RedisOptions::new().set("appendonly", "yes");
    let Some(mut redis) = options.set("appendfsync", "always").for_test() else {
        return;
    };
    redis.cli(&["SET", "kept", "1"]).unwrap();
    redis.restart().unwrap();
    assert_eq!(redis.cli(&["GET", "kept"]).unwrap(), "1");
    redis.restart_empty().unwrap();
    assert_eq!(redis.cli(&["EXISTS", "kept"]).unwrap(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_redis_is_silent_and_goes_on() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let client = connect(&redis.url(), None).await.unwrap();
    redis.pause();
    let mut answer = Box::pin(async move { set(&client, "late", "1").await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "a paused server does not answer");
    redis.resume();
    answer.await.unwrap();
    assert_eq!(redis.cli(&["GET", "late"]).unwrap(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_by_tls_lets_in_who_has_a_password_and_a_right() {
    let options = RedisOptions::new().tls();
    let options = options
        .user("shop", "secret", "~stock:* +@all -@admin -@dangerous")
        .user("reader", "secret", "~* +@read");
    let Some(redis) = options.for_test() else {
        return;
    };
    let url = redis.url();
    assert!(url.starts_with("rediss://shop:secret@"), "{url}");
    let certificates = redis.certificates();
    let client = connect(&url, certificates).await.unwrap();
    set(&client, "stock:lamp", "7").await.unwrap();
    let refused = set(&client, "other", "7").await.unwrap_err();
    assert!(refused.to_string().contains("NOPERM"), "{refused}");

    let reader = url.replace("shop:", "reader:");
    let reader = connect(&reader, certificates).await.unwrap();
    let lamp: String = reader.get("stock:lamp").await.unwrap();
    assert_eq!(lamp, "7");
    let refused = set(&reader, "stock:lamp", "8").await.unwrap_err();
    assert!(refused.to_string().contains("NOPERM"), "{refused}");

    let wrong = url.replace("secret", "wrong");
    let refused = connect(&wrong, certificates).await.unwrap_err();
    assert!(refused.to_string().contains("WRONGPASS"), "{refused}");
    let nobody = format!("rediss://{}", redis.address());
    let nobody = connect(&nobody, certificates).await;
    let refused = match nobody {
        Ok(client) => set(&client, "stock:lamp", "8").await.unwrap_err(),
        Err(error) => error,
    };
    assert!(refused.to_string().contains("NOAUTH"), "{refused}");
    let plain = format!("redis://{}", redis.address());
    connect(&plain, None).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_tells_of_expired_keys_unless_it_is_set_not_to() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let flags = redis.cli(&["CONFIG", "GET", "notify-keyspace-events"]);
    assert_eq!(flags.unwrap(), "notify-keyspace-events\nxE");
    let silent = RedisOptions::new().set("notify-keyspace-events", "");
    let silent = silent.start().unwrap();
    let flags = silent.cli(&["CONFIG", "GET", "notify-keyspace-events"]);
    assert_eq!(flags.unwrap(), "notify-keyspace-events");
    assert_ne!(redis.url(), silent.url());
}

/// One key for each third of the slots.
const KEYS: [&str; 3] = ["b", "c", "a"];

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_replaces_a_primary_and_takes_it_back_as_a_replica() {
    let Some(mut cluster) = RedisCluster::for_test() else {
        return;
    };
    assert_eq!(cluster.nodes().len(), 6);
    let client = connect(&cluster.url(), None).await.unwrap();
    for key in KEYS {
        set(&client, key, "kept").await.unwrap();
    }
    for number in 0..3 {
        let size = cluster.nodes()[number].cli(&["DBSIZE"]).unwrap();
        assert_eq!(size, "1", "each has a third");
    }
    assert_eq!(cluster.primaries_as_told_by(5).unwrap(), [0, 1, 2]);

    let begun = Instant::now();
    cluster.node(0).kill();
    while cluster.primaries_as_told_by(5).unwrap() != [1, 2, 3] {
        let late = begun.elapsed() > Duration::from_secs(30);
        assert!(!late, "the replica does not take over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    cluster.agreed().unwrap();
    cluster.node(0).restart().unwrap();
    cluster.agreed().unwrap();
    assert_eq!(cluster.primaries_as_told_by(0).unwrap(), [1, 2, 3]);
    let client = connect(&cluster.url(), None).await.unwrap();
    for key in KEYS {
        let kept: String = client.get(key).await.unwrap();
        assert_eq!(kept, "kept", "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_by_tls_with_passwords_serves_every_slot() {
    let options = RedisOptions::new().tls().user("shop", "secret", "~* +@all");
    let Some(cluster) = options.cluster_for_test() else {
        return;
    };
    let url = cluster.url();
    assert!(url.starts_with("rediss-cluster://shop:secret@"), "{url}");
    let client = connect(&url, cluster.certificates()).await.unwrap();
    for key in KEYS {
        set(&client, key, "1").await.unwrap();
    }
    for node in cluster.nodes() {
        assert_eq!(node.cli(&["DBSIZE"]).unwrap(), "1", "replicas too");
    }
}
