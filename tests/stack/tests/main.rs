//! The servers start, can be hurt, and leave nothing behind.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, Executor as _, PgConnection};
use stack::{Postgres, Proxy, Server as _};

/// Starts one, or says that it is not installed: then only a required one fails.
fn postgres() -> Option<Postgres> {
    match Postgres::start() {
        Ok(server) => Some(server),
        Err(error) if std::env::var_os("STOCKADE_REQUIRE_POSTGRES").is_none() => {
            eprintln!("SKIPPED: {error:#}");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url)
        .await
        .expect("a server that is ready takes connections")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_survives_a_kill_on_the_same_port() {
    let Some(mut server) = postgres() else { return };
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
    let Some(server) = postgres() else { return };
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
    let (Some(one), Some(two)) = (postgres(), postgres()) else {
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
async fn a_proxy_cuts_refuses_delays_and_loses_replies() {
    let Some(server) = postgres() else { return };
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
    let paid: i64 = sqlx::query_scalar("select count(*) from paid")
        .fetch_one(&mut direct)
        .await
        .unwrap();
    assert_eq!(paid, 1, "the request arrived, only its reply did not");

    proxy.refuse();
    assert!(PgConnection::connect(&url).await.is_err());
    proxy.clear();
    connect(&url).await.ping().await.unwrap();
}

/// Everything that runs in a folder or names it.
fn traces_of(folder: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    commands
        .map(|command| String::from_utf8_lossy(&command).replace('\0', " "))
        .filter(|command| command.contains(folder))
        .collect()
}

#[test]
fn nothing_is_left_of_a_command_that_was_killed() {
    if postgres().is_none() {
        return;
    }
    let temporary = tempfile::tempdir().unwrap();
    // The server's user has to pass through it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(temporary.path(), open).unwrap();
    let folder = temporary.path().to_str().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_stack"))
        .args(["test", "--", "--version"])
        // In place of cargo: something that runs until it is ended.
        .env(
            "CARGO",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/endless"),
        )
        .env("TMPDIR", folder)
        .env_remove("STOCKADE_POSTGRES_URL")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let wait_until = |what: &str, met: &dyn Fn() -> bool| {
        while !met() {
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{what}: {:?}",
                traces_of(folder)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait_until("the server starts", &|| {
        traces_of(folder)
            .iter()
            .any(|it| it.contains("postgres -D"))
    });
    command.kill().unwrap();
    command.wait().unwrap();
    wait_until("all ends", &|| traces_of(folder).is_empty());
    wait_until("the data goes", &|| {
        fs::read_dir(folder).unwrap().next().is_none()
    });
}
