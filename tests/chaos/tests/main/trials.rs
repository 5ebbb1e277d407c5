//! A short form of the trials; `cargo run -p chaos` is the long one.

use std::path::Path;

use chaos::{Commits, Report, trials};
use stack::Server as _;

use crate::server::server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_chaos");

/// Nothing is wrong, and there was something to go wrong.
fn assert_kept(report: &Report, trial: &str, seed: u64) {
    assert!(
        report.findings.0.is_empty(),
        "{:#?}\nagain: cargo run -p chaos -- --only {trial} --rounds 1 --seed {seed}",
        report.findings
    );
    assert!(report.calls > 20 && report.published > 0, "{report:?}");
}

fn seed() -> u64 {
    fastrand::u64(..1 << 32)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_for_the_last_unit_have_one_winner() {
    let Some(server) = server().await else { return };
    let seed = seed();
    let report = trials::last_unit(&server.postgres, seed, 1_000).await;
    assert_kept(&report.unwrap(), "last-unit", seed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_keeps_what_it_acknowledged() {
    let Some(mut server) = server().await else {
        return;
    };
    for _ in 0..2 {
        let seed = seed();
        let report =
            trials::kill_the_server(&mut server.postgres, seed, 1_000, Commits::Kept).await;
        assert_kept(&report.unwrap(), "server", seed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_acknowledges_before_it_writes_is_found_out() {
    let Some(mut server) = server().await else {
        return;
    };
    // Where nobody was answered in the last moments before the kill, nothing is lost.
    for _ in 0..5 {
        let server = &mut server.postgres;
        let report = trials::kill_the_server(server, seed(), 0, Commits::Promised).await;
        let findings = report.unwrap().findings.0;
        if findings
            .iter()
            .any(|it| it.contains("was acknowledged, and is gone"))
        {
            return;
        }
    }
    panic!("answers were lost five times, and the checker did not see it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_client_leaves_nothing_half_done_and_no_event_behind() {
    let Some(server) = server().await else { return };
    for _ in 0..3 {
        let (seed, url) = (seed(), server.postgres.url());
        let report = trials::kill_the_client(Path::new(PROGRAM), &url, seed).await;
        assert_kept(&report.unwrap(), "client", seed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_relay_leaves_the_other_publishes() {
    let Some(server) = server().await else { return };
    let (seed, url) = (seed(), server.postgres.url());
    let report = trials::hurt_the_relays(Path::new(PROGRAM), &url, seed).await;
    assert_kept(&report.unwrap(), "relays", seed);
}
