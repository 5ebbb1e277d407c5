//! The legal steps of each state, and the counts that they move.

use std::time::Duration;

use stockade_inventory_core::{
    ActingFor, Asked, Effect, Expiry, ExtendRequest, InventoryError, ReservationState, Transition,
    TransitionRequest,
};

use super::InventoryHarness;
use super::shop::{PAST_SHORT, Shop, id, line, owner, short_lived, want, wants};

use ReservationState::{Cancelled, Confirmed, Expired, Fulfilled, Held, Released};

/// The expected outcome of a step.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// The reservation is in this state then.
    Goes(ReservationState),
    /// It succeeds and changes nothing.
    Stays,
    /// It is refused with the present state.
    Refused,
}
use Then::{Goes, Refused, Stays};

const ASKED: [Asked; 5] = [
    Asked::Transition(Transition::Confirm),
    Asked::Transition(Transition::Release),
    Asked::Transition(Transition::Cancel),
    Asked::Transition(Transition::Fulfil),
    Asked::Extend,
];

pub(super) async fn held_may_be_confirmed_released_or_extended<H: InventoryHarness>(h: H) {
    let then = [
        Goes(Confirmed),
        Goes(Released),
        Refused,
        Refused,
        Goes(Held),
    ];
    steps_from(&h, Held, then).await;
}

pub(super) async fn confirmed_may_be_fulfilled_or_cancelled<H: InventoryHarness>(h: H) {
    let then = [Stays, Refused, Goes(Cancelled), Goes(Fulfilled), Refused];
    steps_from(&h, Confirmed, then).await;
}

pub(super) async fn fulfilled_is_final<H: InventoryHarness>(h: H) {
    steps_from(&h, Fulfilled, [Stays, Refused, Refused, Stays, Refused]).await;
}

pub(super) async fn released_is_final<H: InventoryHarness>(h: H) {
    steps_from(&h, Released, [Refused, Stays, Refused, Refused, Refused]).await;
}

pub(super) async fn expired_is_final<H: InventoryHarness>(h: H) {
    steps_from(&h, Expired, [Refused; 5]).await;
}

pub(super) async fn cancelled_is_final<H: InventoryHarness>(h: H) {
    steps_from(&h, Cancelled, [Refused, Refused, Stays, Refused, Refused]).await;
}

/// Tries every step from a state, in the order of [`ASKED`].
async fn steps_from<H: InventoryHarness>(h: &H, from: ReservationState, then: [Then; 5]) {
    let shop = Shop::open(h, &[("tee", 99)]).await;
    let names = ["confirm", "release", "cancel", "fulfil", "extend"];
    for name in names {
        begin(&shop, name, from).await;
    }
    if from == Expired {
        h.pass_time(PAST_SHORT).await;
        for name in names {
            let expiry = shop.expire(name).await;
            assert!(
                matches!(expiry, Expiry::Expired(_)),
                "overdue, and {expiry:?}"
            );
        }
    }
    for ((name, asked), then) in names.into_iter().zip(ASKED).zip(then) {
        let before = shop.reservation(name).await;
        assert_eq!(before.state, from);
        let outcome = match asked {
            Asked::Transition(transition) => shop.step(name, transition).await,
            Asked::Extend => {
                let until = before.deadline.plus(Duration::from_secs(60));
                shop.extend(name, until).await
            }
        };
        let after = shop.reservation(name).await;
        let told = outcome
            .as_ref()
            .map(|done| (done.reservation.clone(), done.effect));
        match (then, told) {
            (Goes(to), Ok((reservation, Effect::Applied))) if reservation.state == to => {
                assert_eq!(
                    reservation, after,
                    "the returned reservation (left), and the stored one"
                );
            }
            (Stays, Ok((reservation, Effect::Repeated))) => {
                assert_eq!((&reservation, &after), (&before, &before));
            }
            (
                Refused,
                Err(InventoryError::WrongState {
                    id,
                    asked: told,
                    actual,
                }),
            ) => {
                assert_eq!((id.as_str(), *told, *actual), (name, asked, from));
                assert_eq!(after, before, "a refused step changed the reservation");
            }
            (then, told) => {
                panic!(
                    "a {from} reservation was asked to {asked}; expected {then:?}, but got {told:?}"
                )
            }
        }
    }
    shop.ledger().await;
}

/// Makes a reservation of 2 units in a state; those to expire are still held.
async fn begin(shop: &Shop, name: &str, state: ReservationState) {
    let request = want(name, "tee", 2);
    let steps: &[Transition] = match state {
        Expired => {
            shop.grant(&request.with_ttl(short_lived())).await;
            return;
        }
        Held => &[],
        Confirmed => &[Transition::Confirm],
        Released => &[Transition::Release],
        Fulfilled => &[Transition::Confirm, Transition::Fulfil],
        Cancelled => &[Transition::Confirm, Transition::Cancel],
    };
    shop.grant(&request).await;
    for step in steps {
        shop.must(name, *step).await;
    }
}

pub(super) async fn each_step_moves_the_counts_that_it_should<H: InventoryHarness>(h: H) {
    let cases = [
        (Held, (10, 3)),
        (Confirmed, (10, 3)),
        (Released, (10, 1)),
        (Cancelled, (10, 1)),
        (Fulfilled, (8, 1)),
        (Expired, (10, 1)),
    ];
    let shop = Shop::open(&h, &[]).await;
    for (state, expected) in cases {
        let of = state.as_str();
        shop.receive(of, 10).await;
        shop.hold(&format!("neighbour-{of}"), of, 1).await;
        let request = want(of, of, 2);
        let request = if state == Expired {
            request.with_ttl(short_lived())
        } else {
            request
        };
        shop.grant(&request).await;
        match state {
            Held => {}
            Expired => {
                h.pass_time(PAST_SHORT).await;
                shop.expire(of).await;
            }
            Released => drop(shop.must(of, Transition::Release).await),
            Confirmed => drop(shop.must(of, Transition::Confirm).await),
            Cancelled | Fulfilled => {
                let last = if state == Cancelled {
                    Transition::Cancel
                } else {
                    Transition::Fulfil
                };
                shop.must(of, Transition::Confirm).await;
                shop.must(of, last).await;
            }
        }
        let counts = shop.counts(of).await;
        assert_eq!(
            counts, expected,
            "physical and reserved, of 10 units with 1 held and 2 {state}"
        );
    }
    shop.ledger().await;
}

pub(super) async fn a_step_moves_all_lines<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 5), ("mug", 5)]).await;
    let [first, second] = h.locations();
    for location in [&first, &second] {
        shop.receive_at("tee", location, 5).await;
    }
    let lines = || {
        let there = [
            line("tee", 1).at(first.clone()),
            line("tee", 2).at(second.clone()),
        ];
        [line("cap", 3), line("mug", 4)].into_iter().chain(there)
    };
    shop.grant(&wants("back", lines())).await;
    shop.must("back", Transition::Release).await;
    shop.grant(&wants("gone", lines())).await;
    shop.must("gone", Transition::Confirm).await;
    shop.must("gone", Transition::Fulfil).await;
    assert_eq!(shop.counts("cap").await, (2, 0));
    assert_eq!(shop.counts("mug").await, (1, 0));
    assert_eq!(shop.counts("tee").await, (7, 0));
    shop.ledger().await;
}

pub(super) async fn an_unknown_reservation_is_an_error<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let until = shop.hold("r", "tee", 1).await.deadline;
    let unknown = |what: &str, error: Option<InventoryError>| match error {
        Some(InventoryError::UnknownReservation { id }) => assert_eq!(id.as_str(), "nobody"),
        other => panic!("{what} of an unknown reservation: {other:?}"),
    };
    for asked in ASKED {
        let outcome = match asked {
            Asked::Transition(transition) => shop.step("nobody", transition).await,
            Asked::Extend => shop.extend("nobody", until).await,
        };
        unknown(&asked.to_string(), outcome.err());
    }
    unknown("reading", shop.store.reservation(&id("nobody")).await.err());
    assert_eq!(shop.expire("nobody").await, Expiry::Unknown);
    shop.ledger().await;
}

pub(super) async fn only_the_named_owner_may_act<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let held = shop.hold("r", "tee", 2).await;
    let acting = |name: &str| ActingFor::Owner(owner(name));
    let until = held.deadline.plus(Duration::from_secs(60));
    for asked in ASKED {
        let outcome = match asked {
            Asked::Transition(transition) => {
                let (id, acting_for) = (id("r"), acting("bob"));
                let request = TransitionRequest {
                    id,
                    transition,
                    acting_for,
                };
                shop.store.transition(&request).await
            }
            Asked::Extend => {
                let (id, acting_for) = (id("r"), acting("bob"));
                let request = ExtendRequest {
                    id,
                    until,
                    acting_for,
                };
                shop.store.extend(&request).await
            }
        };
        assert!(
            matches!(outcome, Err(InventoryError::NotOwner { .. })),
            "the reservation is Ann's, but Bob's request that it {asked} returned {outcome:?}"
        );
    }
    assert_eq!(
        shop.reservation("r").await,
        held,
        "Bob changed Ann's reservation"
    );

    let (id, acting_for) = (id("r"), acting("ann"));
    let extend = ExtendRequest {
        id: id.clone(),
        until,
        acting_for: acting_for.clone(),
    };
    let extended = shop.store.extend(&extend).await;
    assert!(extended.is_ok_and(|extended| extended.reservation.deadline == until));
    let transition = Transition::Confirm;
    let confirm = TransitionRequest {
        id,
        transition,
        acting_for,
    };
    let confirmed = shop.store.transition(&confirm).await;
    assert!(confirmed.is_ok_and(|confirmed| confirmed.reservation.state == Confirmed));
    shop.ledger().await;
}
