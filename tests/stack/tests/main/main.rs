//! The servers start, can be hurt, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod commands;
mod kafka;
mod redis;

use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};
use stack::{Postgres, PostgresOptions, Proxy, Server as _};

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .expect("a server that is ready takes connections")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_a_kill_on_the_same_port() {
    let Some(mut server) = Postgres::for_test() else {
        return;
    };
    let url = server.url();
    let mut client = connect(&url).await;
    client
        .execute("create table kept as select 42 as answer")
        .await
        .unwrap();
    server.kill();
    assert!(client.ping().await.is_err(), "nobody answers any more");
    server.restart().unwrap();
    assert_eq!(server.url(), url);
    let answer: i32 = sqlx::query_scalar("select answer from kept")
        .fetch_one(&mut connect(&url).await)
        .await
        .unwrap();
    assert_eq!(answer, 42);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_is_silent_and_goes_on() {
    let Some(server) = Postgres::for_test() else {
        return;
    };
    let mut client = connect(&server.url()).await;
    server.pause();
    let mut answer = Box::pin(async move { client.execute("select 1").await });
    let early = tokio::time::timeout(Duration::from_millis(300), &mut answer).await;
    assert!(early.is_err(), "a paused server does not answer");
    server.resume();
    answer.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_collide() {
    let (Some(one), Some(two)) = (Postgres::for_test(), Postgres::for_test()) else {
        return;
    };
    assert_ne!(one.url(), two.url());
    connect(&one.url())
        .await
        .execute("create table mine ()")
        .await
        .unwrap();
    let missing = connect(&two.url()).await.execute("select from mine").await;
    assert!(missing.is_err(), "each has its own data");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_takes_settings_of_the_tests() {
    if Postgres::for_test().is_none() {
        return;
    }
    let server = PostgresOptions::new()
        .set("wal_level", "replica")
        .start()
        .unwrap();
    let level: String = sqlx::query_scalar("show wal_level")
        .fetch_one(&mut connect(&server.url()).await)
        .await
        .unwrap();
    assert_eq!(level, "replica");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_of_the_major_version_that_is_asked_for() {
    for major in [14, 18] {
        let Some(mut server) = PostgresOptions::new().major(major).for_test() else {
            return;
        };
        server.kill();
        server.restart().unwrap();
        let version: String = sqlx::query_scalar("show server_version_num")
            .fetch_one(&mut connect(&server.url()).await)
            .await
            .unwrap();
        assert_eq!(version.len(), 6);
        assert!(version.starts_with(&major.to_string()), "{version}");
    }
    let unknown = PostgresOptions::new().major(12).start().unwrap_err();
    assert!(unknown.to_string().contains("13, 14, 16"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_cuts_refuses_delays_holds_back_and_loses_replies() {
    let Some(server) = Postgres::for_test() else {
        return;
    };
    let proxy = Proxy::start(server.address()).await.unwrap();
    let url = server.url_at(proxy.address());
    let mut direct = connect(&server.url()).await;

    let mut client = connect(&url).await;
    proxy.cut();
    assert!(client.ping().await.is_err());
    let mut client = connect(&url).await;
    proxy.delay(Duration::from_millis(100));
    let begun = Instant::now();
    client.execute("select 1").await.unwrap();
    assert!(
        begun.elapsed() >= Duration::from_millis(200),
        "there and back"
    );

    proxy.clear();
    direct.execute("create table paid (id int)").await.unwrap();
    proxy.lose_reply_to("insert into paid");
    assert!(client.execute("insert into paid values (1)").await.is_err());
    let arrived = paid(&mut direct).await;
    assert_eq!(arrived, 1, "the request arrived, only its reply did not");

    proxy.clear();
    let mut client = connect(&url).await;
    proxy.hold_request("insert into paid");
    let late = tokio::spawn(async move { client.execute("insert into paid values (2)").await });
    proxy.held().await;
    connect(&url).await.ping().await.unwrap();
    late.abort();
    assert_eq!(paid(&mut direct).await, 1, "the request is held back");
    proxy.clear();
    let begun = Instant::now();
    while paid(&mut direct).await < 2 {
        let waited = begun.elapsed();
        assert!(waited < Duration::from_secs(10), "it does not arrive");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    proxy.refuse();
    assert!(PgConnection::connect(&url).await.is_err());
    proxy.clear();
    connect(&url).await.ping().await.unwrap();
}

async fn paid(client: &mut PgConnection) -> i64 {
    let count = sqlx::query_scalar("select count(*) from paid");
    count.fetch_one(client).await.unwrap()
}
