//! Timers fire after their time. They are hints, so the suite does not require that they are
//! punctual.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use stockade_inventory_core::{ReservationId, ReservationTimer};

use super::TimerHarness;
use super::shop::{PAST_SHORT, SHORT, at_most, id};
use crate::{together, while_time_passes};

const HOUR: Duration = Duration::from_secs(3600);
/// Short enough for tests with real time.
const WAIT: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(50);

async fn arm(timer: &dyn ReservationTimer, timers: &[(&str, Duration)]) {
    let timers: Vec<_> = timers
        .iter()
        .map(|(name, after)| (id(name), *after))
        .collect();
    let armed = timer.arm(&timers).await;
    armed.unwrap_or_else(|error| panic!("arming failed: {error}"));
}

async fn due<H: TimerHarness>(h: &H, limit: usize) -> Vec<ReservationId> {
    let timer = h.timer();
    let due = while_time_passes(h, STEP, timer.due(at_most(limit), WAIT)).await;
    let due = due.unwrap_or_else(|error| panic!("waiting for timers failed: {error}"));
    assert!(
        due.len() <= limit,
        "at most {limit} timers were asked for: {due:?}"
    );
    due
}

/// Waits until `count` timers have fired, because they may be late.
async fn collect<H: TimerHarness>(h: &H, count: usize) -> Vec<ReservationId> {
    let mut all = Vec::new();
    for _ in 0..50 {
        all.extend(due(h, 100).await);
        if all.len() >= count {
            all.sort();
            return all;
        }
    }
    panic!("{count} timers are due, but these fired: {all:?}");
}

pub(super) async fn a_timer_is_due_after_its_time_and_not_before<H: TimerHarness>(h: H) {
    let timer = h.timer();
    arm(timer.as_ref(), &[("soon", SHORT), ("later", HOUR)]).await;
    let early = timer.due(at_most(10), Duration::ZERO).await;
    assert!(
        early.is_ok_and(|early| early.is_empty()),
        "due before its second had passed"
    );
    h.pass_time(PAST_SHORT).await;
    assert_eq!(collect(&h, 1).await, [id("soon")]);
    assert_eq!(due(&h, 10).await, [], "due an hour before its time");
}

pub(super) async fn a_returned_timer_is_removed<H: TimerHarness>(h: H) {
    let timer = h.timer();
    arm(timer.as_ref(), &[("r", SHORT)]).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(collect(&h, 1).await, [id("r")]);
    assert_eq!(due(&h, 10).await, [], "a returned timer fired again");
    arm(timer.as_ref(), &[("r", SHORT)]).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(
        collect(&h, 1).await,
        [id("r")],
        "a timer that is armed again fires again"
    );
}

pub(super) async fn arming_again_replaces_the_timer<H: TimerHarness>(h: H) {
    let timer = h.timer();
    arm(timer.as_ref(), &[("put-off", SHORT), ("moved-up", HOUR)]).await;
    arm(timer.as_ref(), &[("put-off", HOUR), ("moved-up", SHORT)]).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(collect(&h, 1).await, [id("moved-up")]);
    assert_eq!(
        due(&h, 10).await,
        [],
        "armed again for an hour, or taken already"
    );
}

pub(super) async fn a_disarmed_timer_does_not_fire<H: TimerHarness>(h: H) {
    let timer = h.timer();
    arm(timer.as_ref(), &[("gone", SHORT), ("kept", SHORT)]).await;
    let ids = ["gone", "never-armed"].map(id);
    for _ in 0..2 {
        let disarmed = timer.disarm(&ids).await;
        disarmed.unwrap_or_else(|error| panic!("disarming failed: {error}"));
    }
    h.pass_time(PAST_SHORT).await;
    assert_eq!(collect(&h, 1).await, [id("kept")]);
    assert_eq!(due(&h, 10).await, [], "disarmed");
    assert!(timer.arm(&[]).await.is_ok() && timer.disarm(&[]).await.is_ok());
}

pub(super) async fn a_wait_without_due_timers_ends<H: TimerHarness>(h: H) {
    assert_eq!(due(&h, 10).await, [], "nothing was armed");
    arm(h.timer().as_ref(), &[("r", HOUR)]).await;
    assert_eq!(due(&h, 10).await, [], "nothing is due");
}

pub(super) async fn waiting_ends_when_a_timer_is_due<H: TimerHarness>(h: H) {
    let timer = h.timer();
    for armed_before in [true, false] {
        if armed_before {
            arm(timer.as_ref(), &[("r", SHORT)]).await;
        }
        let waiting = {
            let timer = timer.clone();
            tokio::spawn(async move { timer.due(at_most(10), HOUR).await })
        };
        tokio::time::sleep(Duration::from_millis(20)).await;
        if !armed_before {
            // Sooner than what the caller waits for.
            arm(timer.as_ref(), &[("r", SHORT)]).await;
        }
        let woken = tokio::time::timeout(
            Duration::from_secs(20),
            while_time_passes(&h, STEP, waiting),
        );
        match woken.await {
            Ok(Ok(Ok(due))) => assert_eq!(due, [id("r")]),
            other => panic!("a caller waited for a timer of a second, but got {other:?}"),
        }
    }
}

pub(super) async fn a_limit_leaves_the_others<H: TimerHarness>(h: H) {
    arm(
        h.timer().as_ref(),
        &["a", "b", "c", "d", "e"].map(|name| (name, SHORT)),
    )
    .await;
    h.pass_time(PAST_SHORT).await;
    let mut all = due(&h, 2).await;
    assert!(!all.is_empty(), "five are due");
    all.extend(collect(&h, 5 - all.len()).await);
    all.sort();
    assert_eq!(all, ["a", "b", "c", "d", "e"].map(id));
}

pub(super) async fn two_callers_miss_nothing<H: TimerHarness>(h: H) {
    const TIMERS: usize = 60;
    let timer = h.timer();
    let timers: Vec<_> = (0..TIMERS).map(|n| (id(&format!("r{n}")), SHORT)).collect();
    assert!(timer.arm(&timers).await.is_ok());
    h.pass_time(PAST_SHORT).await;
    let h = Arc::new(h);
    let taken = together((0..2).map(|_| {
        let h = h.clone();
        async move {
            let mut mine = Vec::new();
            // Twice nothing, as a timer may be late.
            let mut idle = 0;
            while idle < 2 {
                let due = due(h.as_ref(), 5).await;
                idle = if due.is_empty() { idle + 1 } else { 0 };
                mine.extend(due);
            }
            mine
        }
    }))
    .await;
    // An implementation that can not share them returns them to both callers.
    let taken: BTreeSet<_> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), TIMERS, "timers that two callers got");
}

pub(super) async fn a_dropped_wait_does_not_hinder_others<H: TimerHarness>(h: H) {
    let timer = h.timer();
    for n in 0..40 {
        let patience = Duration::from_micros(100 * (n % 20));
        let waiting = timer.due(at_most(10), HOUR);
        assert!(
            tokio::time::timeout(patience, waiting).await.is_err(),
            "no timer was armed, but a wait of an hour ended"
        );
    }
    arm(timer.as_ref(), &[("r", SHORT)]).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(
        collect(&h, 1).await,
        [id("r")],
        "armed after the waits were dropped"
    );
}

pub(super) async fn ids_are_kept_unchanged<H: TimerHarness>(h: H) {
    let long = "é".repeat(64);
    let names = [
        "a:b:c",
        "it's \"so\"",
        "100%_*",
        "🧢 帽子",
        "a|b,c;d",
        "0",
        long.as_str(),
    ];
    arm(h.timer().as_ref(), &names.map(|name| (name, SHORT))).await;
    h.pass_time(PAST_SHORT).await;
    let mut expected = names.map(id);
    expected.sort();
    assert_eq!(collect(&h, names.len()).await, expected);
}
