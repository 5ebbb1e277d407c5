//! Each flaw fails in the cases that it breaks and in no other, and for its own reason.

use stockade_testkit::inventory::store_cases;
use stockade_testkit::{Outcome, attempt};

use crate::flawed::Flaw;
use crate::harnesses::Built;

/// The cases that fail, with their messages.
fn failures<const FLAW: usize>() -> Vec<(&'static str, String)> {
    let run = |case: &stockade_testkit::Case<Built<FLAW>>| match attempt(case) {
        Outcome::Failed(message) => Some((case.name(), message)),
        Outcome::Passed | Outcome::Skipped(_) => None,
    };
    store_cases().iter().filter_map(run).collect()
}

/// Expects exactly these cases to fail, the first of them with this phrase.
fn assert_fails<const FLAW: usize>(expected: &[&str], phrase: &str) {
    let failures = failures::<FLAW>();
    let mut names: Vec<&str> = failures.iter().map(|(name, _)| *name).collect();
    let mut sorted = expected.to_vec();
    names.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(names, sorted, "cases that fail: {failures:#?}");
    let main = failures
        .iter()
        .find(|(name, _)| expected.first() == Some(name));
    let message = &main.expect("at least one case fails").1;
    assert!(
        message.contains(phrase),
        "{phrase:?} is the reason, not {message:?}"
    );
}

#[test]
fn oversells_under_concurrency() {
    assert_fails::<{ Flaw::OversellsUnderConcurrency as usize }>(
        &[
            "many_writers_have_one_winner",
            "contention_never_oversells",
            "concurrent_repeats_of_the_winner_agree",
            "opposite_orders_do_not_deadlock",
            "churn_keeps_the_ledger",
            "one_id_with_two_contents_has_one_winner",
            "the_levels_of_a_sku_are_one_snapshot",
        ],
        "oversold",
    );
}

#[test]
fn forgets_ids() {
    assert_fails::<{ Flaw::ForgetsIds as usize }>(
        &[
            "a_repeated_reserve_finds_the_first_grant",
            "the_winner_of_the_last_unit_may_repeat",
            "concurrent_repeats_of_the_winner_agree",
            "a_repeat_finds_the_grant_where_it_was_made",
            "a_repeat_finds_every_later_state",
            "other_content_with_the_same_id_conflicts",
            "a_batch_may_hold_one_id_twice",
            "remaining_time_falls_on_the_stores_clock",
            "expired_units_can_be_reserved_again",
            "one_id_with_two_contents_has_one_winner",
            "a_dropped_call_took_effect_whole_or_not_at_all",
            "a_reserve_whose_reply_is_lost_counts_once",
            "the_last_unit_is_kept_when_the_reply_is_lost",
            "a_batch_whose_reply_is_lost_counts_once",
        ],
        "a repeated reserve was granted anew",
    );
}

#[test]
fn refuses_the_winner_of_the_last_unit() {
    assert_fails::<{ Flaw::RefusesTheWinner as usize }>(
        &[
            "the_winner_of_the_last_unit_may_repeat",
            "concurrent_repeats_of_the_winner_agree",
            "other_content_with_the_same_id_conflicts",
            "expired_units_can_be_reserved_again",
            "the_last_unit_is_kept_when_the_reply_is_lost",
            "a_batch_whose_reply_is_lost_counts_once",
        ],
        "the winner of the last unit repeated its request and was told",
    );
}

#[test]
fn compensates_twice_on_expire() {
    assert_fails::<{ Flaw::CompensatesTwice as usize }>(
        &[
            "expiry_gives_units_back_once",
            "concurrent_expiry_gives_units_back_once",
            "confirming_after_the_deadline_expires",
            "extending_after_the_deadline_expires",
            "expire_tells_what_became_of_each",
            "confirm_and_expire_have_one_winner",
            "an_expiry_whose_reply_is_lost_counts_once",
        ],
        "units came back again",
    );
}

#[test]
fn expires_what_was_extended() {
    assert_fails::<{ Flaw::ExpiresTheExtended as usize }>(
        &[
            "extended_is_not_expired",
            "an_extension_whose_reply_is_lost_holds",
        ],
        "it was expired although it was extended",
    );
}

#[test]
fn counts_a_repeated_receive_twice() {
    assert_fails::<{ Flaw::ReceivesTwice as usize }>(
        &[
            "a_repeated_receive_counts_once",
            "concurrent_repeats_of_a_receive_count_once",
            "other_adjustments_with_the_same_id_conflict",
            "an_adjustment_whose_reply_is_lost_counts_once",
        ],
        "50 units received again",
    );
}
