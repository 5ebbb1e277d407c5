//! A damaged reservation does not affect others.

use std::time::Duration;

use stockade_inventory_core::{Expiry, InventoryError, Rest};

use super::DamageHarness;
use super::shop::{PAST_SHORT, Shop, at_most, id, short_lived, sku, want};

const DAMAGED: [&str; 3] = ["a-damaged", "b-damaged", "c-damaged"];
const GOOD: [&str; 5] = ["d", "e", "f", "g", "h"];

/// Three damaged reservations, which are overdue for longest, and five others.
async fn open<H: DamageHarness>(h: &H) -> Shop {
    let shop = Shop::open(h, &[("tee", 9)]).await;
    for name in DAMAGED.iter().chain(&GOOD) {
        let request = want(name, "tee", 1).with_ttl(short_lived());
        shop.grant(&request).await;
        h.pass_time(Duration::from_millis(2)).await;
    }
    for name in DAMAGED {
        h.damage(&id(name)).await;
    }
    h.pass_time(PAST_SHORT).await;
    shop
}

pub(super) async fn a_damaged_reservation_does_not_count_towards_the_limit<H: DamageHarness>(h: H) {
    let shop = open(&h).await;
    let mut expired = Vec::new();
    for _ in 0..20 {
        let sweep = shop.store.expire_overdue(at_most(2)).await;
        let sweep = sweep.unwrap_or_else(|error| {
            panic!("a sweep failed as a whole for a damaged reservation: {error}")
        });
        assert!(sweep.outcomes.len() <= 2, "a sweep of at most 2: {sweep:?}");
        for outcome in sweep.outcomes {
            match outcome {
                Ok(reservation) => expired.push(reservation.id),
                Err(InventoryError::Damaged { .. }) => {}
                Err(error) => panic!("a damaged reservation is reported as {error}"),
            }
        }
        if sweep.rest == Rest::None {
            break;
        }
    }
    assert_eq!(
        expired,
        GOOD.map(id),
        "damaged reservations counted towards the limit in sweeps of 2"
    );
}

pub(super) async fn a_damaged_reservation_is_reported_and_is_not_a_rest<H: DamageHarness>(h: H) {
    let shop = open(&h).await;
    for _ in 0..20 {
        let sweep = shop.store.expire_overdue(at_most(20)).await;
        let sweep = sweep.unwrap_or_else(|error| panic!("a sweep failed as a whole: {error}"));
        let damaged = sweep.outcomes.iter().filter(|it| it.is_err()).count();
        if sweep.rest == Rest::None {
            assert_eq!(
                damaged,
                DAMAGED.len(),
                "the last sweep has room, and reports each damaged reservation: {:?}",
                sweep.outcomes
            );
            return;
        }
    }
    panic!("damaged reservations are not a rest, but after 20 sweeps there is still more");
}

pub(super) async fn a_damaged_reservation_fails_alone_in_a_batch<H: DamageHarness>(h: H) {
    let shop = open(&h).await;
    let ids = ["d", "b-damaged", "e"].map(id);
    let outcomes = shop.expire_all(&ids).await;
    for (id, outcome) in ids.iter().zip(outcomes) {
        match outcome {
            Ok(Expiry::Expired(_)) => assert_ne!(id.as_str(), "b-damaged"),
            Err(InventoryError::Damaged { .. }) => assert_eq!(id.as_str(), "b-damaged"),
            other => panic!("expiring {id} in a batch with a damaged reservation: {other:?}"),
        }
    }
    assert_eq!(shop.counts("tee").await, (9, 6));
}

pub(super) async fn a_damaged_level_fails_only_the_reservations_that_need_it<H: DamageHarness>(
    h: H,
) {
    let shop = Shop::open(&h, &[("cap", 9), ("tee", 9)]).await;
    let lines = ["cap", "tee", "cap", "tee", "cap"];
    for (name, of) in ["a", "b", "c", "d", "e"].iter().zip(lines) {
        shop.hold_shortly(name, of, 1).await;
        h.pass_time(Duration::from_millis(2)).await;
    }
    h.damage_levels(&sku("tee")).await;
    h.pass_time(PAST_SHORT).await;
    let ids = ["a", "b", "c"].map(id);
    for (id, outcome) in ids.iter().zip(shop.expire_all(&ids).await) {
        match outcome {
            Ok(Expiry::Expired(_)) => assert_ne!(id.as_str(), "b", "its level is damaged"),
            Err(InventoryError::Damaged { .. }) => assert_eq!(id.as_str(), "b"),
            other => panic!("expiring {id} in a batch with a damaged level: {other:?}"),
        }
    }
    let mut expired = Vec::new();
    for _ in 0..20 {
        let sweep = shop.store.expire_overdue(at_most(20)).await;
        let sweep = sweep.unwrap_or_else(|error| {
            panic!("a sweep failed as a whole for a damaged level: {error}")
        });
        let done = sweep.outcomes.into_iter().filter_map(Result::ok);
        expired.extend(done.map(|reservation| reservation.id));
        if sweep.rest == Rest::None {
            break;
        }
    }
    assert_eq!(
        expired,
        [id("e")],
        "of those that are overdue still, a sweep expires the one whose level is undamaged"
    );
}
