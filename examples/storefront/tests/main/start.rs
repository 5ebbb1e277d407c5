//! What is said where the shop does not start, and while it does.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use stack::{Postgres, PostgresOptions, Server as _};
use storefront::{Options, Shop};

/// What a shop that can't start says: one line, and why for a program.
fn refusal(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .env("RUST_LOG", "off")
        .env_remove("STOREFRONT_POSTGRES")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
    for debugged in ["Error", " { ", "Os {", "kind:", "panicked"] {
        assert!(!said.contains(debugged), "{arguments:?}: {said}");
    }
    said
}

fn assert_says(arguments: &[&str], words: &[&str]) {
    let said = refusal(arguments);
    for word in words {
        assert!(said.contains(word), "{word} is not in {said}");
    }
}

#[test]
fn a_shop_that_has_no_port_or_no_file_says_so_in_a_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // The last one counts.
    let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(["--listen", &address])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&address) && said.contains("--listen"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1, "{said}");

    assert_says(
        &["--import", "/no/such/file"],
        &["/no/such/file", "--import"],
    );
    assert_says(&["--import", "/tmp"], &["/tmp", "--import"]);
    assert_says(
        &["--search-dir", "/dev/null"],
        &["/dev/null", "--search-dir"],
    );
}

#[test]
fn a_shop_without_its_database_says_so_in_a_line() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let url = format!("postgres://shop:secret@{address}/shop");
    assert_says(&["--postgres", &url], &[&address, "refused", "--postgres"]);
    assert!(!refusal(&["--postgres", &url]).contains("secret"));
    assert_says(&["--postgres", "localhost"], &["postgres://", "--postgres"]);
}

#[test]
fn stock_in_memory_does_not_go_to_servers_that_outlive_it() {
    for option in [
        ["--redis", "redis://127.0.0.1:1"],
        ["--kafka", "127.0.0.1:1"],
    ] {
        assert_says(&option, &["--postgres", option[0]]);
    }
}

#[test]
fn a_front_names_what_it_lacks_and_what_it_can_not_have() {
    let services = [
        "--catalog-service=http://127.0.0.1:1",
        "--inventory-service=http://127.0.0.1:1",
    ];
    let with = |options: &[&'static str]| [&services[..], options].concat();
    assert_says(&with(&[]), &["--catalog-service", "--postgres"]);
    let postgres = "--postgres=postgres://127.0.0.1:1/catalog";
    assert_says(&with(&[postgres]), &["--inventory-service", "--kafka"]);
    for option in [
        "--generate=3",
        "--redis=redis://127.0.0.1:1",
        "--allow-faults",
    ] {
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        assert_says(&with(&[option]), &["--catalog-service", name]);
    }
    let wrong = [
        "--catalog-service=https://catalog",
        services[1],
        postgres,
        "--kafka=127.0.0.1:1",
    ];
    assert_says(&wrong, &["--catalog-service", "http://"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_over_a_database_that_it_can_not_follow_says_what_to_set() {
    if Postgres::for_test().is_none() {
        return;
    }
    let server = PostgresOptions::new()
        .set("wal_level", "replica")
        .start()
        .unwrap();
    assert_says(&["--postgres", &server.url()], &["wal_level", "logical"]);
    let missing = server.url().replace("/postgres", "/missing");
    let missing = missing.replace("postgres:/missing", "postgres://postgres");
    assert_says(&["--postgres", &missing], &["missing", "--postgres"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_directory_that_is_in_use_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        search_dir: Some(directory.path().to_owned()),
        ..Options::default()
    };
    let (_shop, workers) = Shop::start(options).await.unwrap();
    let name = directory.path().to_str().unwrap();
    assert_says(&["--search-dir", name], &[name, "--search-dir"]);
    workers.stop(std::time::Duration::from_secs(10)).await;
}

/// On a terminal, of which `script` gives it one.
#[test]
fn the_log_and_the_bar_of_an_import_keep_apart() {
    let shop = env!("CARGO_BIN_EXE_storefront");
    let command = format!("{shop} --listen 127.0.0.1:0 --generate 1500");
    let mut script = Command::new("script")
        .args(["-qfec", &command, "/dev/null"])
        .env("RUST_LOG", "info")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut terminal = script.stdout.take().unwrap();
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while !said.windows(15).any(|at| at == b"the shop is at ") {
        match terminal.read(&mut piece).unwrap() {
            0 => break,
            read => said.extend_from_slice(&piece[..read]),
        }
    }
    script.kill().unwrap();
    script.wait().unwrap();
    let said = String::from_utf8_lossy(&said);
    let bar = "generated products ";
    let (_, importing) = said.split_once(bar).expect("there is a bar");
    let (importing, _) = importing.rsplit_once(bar).expect("it moves");
    let is_log = |line: &str| line.contains(" INFO");
    assert!(importing.lines().any(is_log), "nothing is logged meanwhile");
    for line in importing.lines() {
        // What is shown of it in the end.
        let shown = line
            .rsplit(['\r'])
            .find(|part| !part.is_empty())
            .unwrap_or("");
        let shown = shown.rsplit("\u{1b}[2K").next().unwrap_or_default();
        assert!(!(is_log(shown) && shown.contains(bar)), "{line:?}");
    }
}
