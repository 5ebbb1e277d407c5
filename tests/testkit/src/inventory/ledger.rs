//! The rules that every store keeps after any calls.

use std::collections::{BTreeMap, BTreeSet};

use stockade_inventory_core::{
    Counts, Cursor, Delta, InventoryError, InventoryStore, LocationId, Movement, MovementCause,
    Reservation, ReservationId, ReservationState, Sku, SkuStock, StockLevel,
};

use super::shop::at_most;

const PAGE: usize = 100;

/// What may have been purged.
#[derive(Clone, Copy)]
enum Kept<'a> {
    Everything,
    /// The rows that a purge leaves, among them these reservations, which may have no movement left.
    AfterPurge(&'a [ReservationId]),
}

/// Checks the ledger of a store that is not in use, and of which nothing was purged:
///
/// - the movements of each level add up to its three counts, and never left their bounds;
/// - their versions rise by one, and end with the level's, whose epoch may have been raised since;
/// - the last of them has the time of the level;
/// - as many units are reserved as live reservations hold;
/// - each reservation took its units once, and gave them back or shipped them once if its state
///   says so.
///
/// # Panics
/// When one of these rules is broken, with its name, and when the store fails.
pub async fn check_ledger(store: &dyn InventoryStore) {
    check(store, Kept::Everything).await;
}

/// As [`check_ledger`], after a purge: each level may begin with an opening balance. An unknown
/// reservation must have given its units back, according to its remaining movements. `reservations`
/// are the known ones; they must include every held and confirmed one.
///
/// # Panics
/// As [`check_ledger`] does.
pub async fn check_purged_ledger(store: &dyn InventoryStore, reservations: &[ReservationId]) {
    check(store, Kept::AfterPurge(reservations)).await;
}

async fn check(store: &dyn InventoryStore, kept: Kept<'_>) {
    let mut promised = BTreeMap::new();
    let mut checked = BTreeSet::new();
    if let Kept::AfterPurge(known) = kept {
        for id in known {
            let reservation = known_reservation(store, id).await;
            if checked.insert(id.clone()) && reservation.state.is_live() {
                add_up(&mut promised, &reservation);
            }
        }
    }
    let mut stock = Vec::new();
    for sku in all_stock(store).await {
        let movements = all_movements(store, sku.sku()).await;
        for level in sku.levels() {
            check_level(level, &movements, kept);
        }
        for movement in &movements {
            let known = sku.levels().iter().any(|l| l.location == movement.location);
            assert!(known, "ledger: a movement has no level: {movement:?}");
        }
        for id in movements
            .iter()
            .filter_map(|movement| reservation_of(&movement.cause))
        {
            if let Kept::AfterPurge(_) = kept
                && let Err(InventoryError::UnknownReservation { .. }) = store.reservation(id).await
            {
                check_purged(id, &movements);
                continue;
            }
            let reservation = known_reservation(store, id).await;
            check_reservation(&reservation, sku.sku(), &movements, kept);
            if checked.insert(id.clone()) && reservation.state.is_live() {
                add_up(&mut promised, &reservation);
            }
        }
        stock.push(sku);
    }
    for level in stock.iter().flat_map(SkuStock::levels) {
        let held = promised.remove(&(level.sku.clone(), level.location.clone()));
        assert_eq!(
            level.counts.reserved(),
            held.unwrap_or(0),
            "ledger: units reserved (left) of {} at {}, and units that live reservations hold",
            level.sku,
            level.location
        );
    }
    assert!(
        promised.is_empty(),
        "ledger: reservations hold units where there is no level: {promised:?}"
    );
}

async fn known_reservation(store: &dyn InventoryStore, id: &ReservationId) -> Reservation {
    store.reservation(id).await.unwrap_or_else(|error| {
        panic!("ledger: units moved for reservation {id}, which can not be read: {error}")
    })
}

/// Every SKU of a store, read in pages.
pub(super) async fn all_stock(store: &dyn InventoryStore) -> Vec<SkuStock> {
    let mut all: Vec<SkuStock> = Vec::new();
    let mut after = None;
    loop {
        let page = store.scan(after.as_ref(), at_most(PAGE)).await;
        let page = page.unwrap_or_else(|error| panic!("scanning the stock failed: {error}"));
        all.extend(page.stock);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Every movement of a SKU, read in pages.
pub(super) async fn all_movements(store: &dyn InventoryStore, sku: &Sku) -> Vec<Movement> {
    movements_in_pages(store, sku, PAGE).await
}

pub(super) async fn movements_in_pages(
    store: &dyn InventoryStore,
    sku: &Sku,
    limit: usize,
) -> Vec<Movement> {
    let mut all = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = store.movements(sku, after.as_ref(), at_most(limit)).await;
        let page = page.unwrap_or_else(|error| panic!("reading movements failed: {error}"));
        let got = page.movements.len();
        assert!(
            got <= limit,
            "a page of at most {limit} movements has {got}"
        );
        all.extend(page.movements);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

fn check_level(level: &StockLevel, movements: &[Movement], kept: Kept<'_>) {
    let StockLevel { sku, location, .. } = level;
    let mut counts = Counts::default();
    let mut last = None;
    for movement in movements.iter().filter(|m| m.location == *location) {
        counts = counts.after(movement.delta).unwrap_or_else(|| {
            panic!("ledger: {counts:?} of {sku} at {location} can not take {movement:?}")
        });
        assert!(
            !movement.is_opening_balance() || last.is_none() && matches!(kept, Kept::AfterPurge(_)),
            "ledger: {sku} at {location} has an opening balance where none is allowed: {movement:?}"
        );
        if let Some(before) = last.replace(movement) {
            let (before, version) = (before.version, movement.version);
            assert!(
                version.number == before.number + 1 && version >= before,
                "ledger: the versions of {sku} at {location} rise by one, but {version} follows \
                 {before}"
            );
        }
    }
    assert_eq!(
        level.counts, counts,
        "ledger: counts (left) of {sku} at {location}, and what its movements add up to"
    );
    let Some(last) = last else {
        panic!("ledger: {sku} at {location} has a level and no movement");
    };
    assert_eq!(
        (level.version.number, level.changed_at),
        (last.version.number, last.at),
        "ledger: version and time (left) of {sku} at {location}, and those of its last movement"
    );
    assert!(
        level.version >= last.version,
        "ledger: {sku} at {location} has version {}, and its last movement {}",
        level.version,
        last.version
    );
}

/// That a purged reservation holds nothing by the movements that are left of it.
fn check_purged(id: &ReservationId, movements: &[Movement]) {
    let of_it = |movement: &&Movement| reservation_of(&movement.cause) == Some(id);
    let last: BTreeMap<&LocationId, &MovementCause> = movements
        .iter()
        .filter(of_it)
        .map(|movement| (&movement.location, &movement.cause))
        .collect();
    for (location, cause) in last {
        assert!(
            !matches!(cause, MovementCause::Reserved(_)),
            "ledger: reservation {id} holds units at {location}, and is unknown"
        );
    }
}

fn check_reservation(reservation: &Reservation, sku: &Sku, movements: &[Movement], kept: Kept<'_>) {
    let locations: BTreeSet<&LocationId> = movements.iter().map(|m| &m.location).collect();
    for location in locations {
        let took_effect: Vec<(MovementCause, Delta)> = movements
            .iter()
            .filter(|m| m.location == *location)
            .filter(|m| reservation_of(&m.cause) == Some(&reservation.id))
            .map(|m| (m.cause.clone(), m.delta))
            .collect();
        let expected = effects(reservation, sku, location);
        let agrees = match kept {
            Kept::Everything => took_effect == expected,
            // The first of them may be in the opening balance, and an earlier reservation of the
            // same id may be purged.
            Kept::AfterPurge(_) => {
                expected.ends_with(&took_effect) || took_effect.ends_with(&expected)
            }
        };
        assert!(
            agrees,
            "ledger: reservation {} did {took_effect:?} to {sku} at {location}, and as it is {} \
             it should have done {expected:?}",
            reservation.id, reservation.state
        );
    }
}

/// What a reservation in its state has done to a level.
fn effects(
    reservation: &Reservation,
    sku: &Sku,
    location: &LocationId,
) -> Vec<(MovementCause, Delta)> {
    let id = &reservation.id;
    let quantity: u64 = reservation
        .lines
        .iter()
        .filter(|line| line.sku == *sku && line.location == *location)
        .map(|line| line.quantity.get())
        .sum();
    if quantity == 0 {
        return Vec::new();
    }
    let units = i64::try_from(quantity).expect("a sum of 100 quantities fits");
    let delta = |physical, reserved| Delta {
        physical,
        reserved,
        escrowed: 0,
    };
    let mut effects = vec![(MovementCause::Reserved(id.clone()), delta(0, units))];
    let end = match reservation.state {
        ReservationState::Held | ReservationState::Confirmed => return effects,
        ReservationState::Fulfilled => {
            (MovementCause::Fulfilled(id.clone()), delta(-units, -units))
        }
        ReservationState::Released => (MovementCause::Released(id.clone()), delta(0, -units)),
        ReservationState::Expired => (MovementCause::Expired(id.clone()), delta(0, -units)),
        ReservationState::Cancelled => (MovementCause::Cancelled(id.clone()), delta(0, -units)),
    };
    effects.push(end);
    effects
}

fn add_up(promised: &mut BTreeMap<(Sku, LocationId), u64>, reservation: &Reservation) {
    for line in &reservation.lines {
        let key = (line.sku.clone(), line.location.clone());
        *promised.entry(key).or_default() += line.quantity.get();
    }
}

fn reservation_of(cause: &MovementCause) -> Option<&ReservationId> {
    match cause {
        MovementCause::Reserved(id)
        | MovementCause::Released(id)
        | MovementCause::Expired(id)
        | MovementCause::Cancelled(id)
        | MovementCause::Fulfilled(id) => Some(id),
        MovementCause::Adjusted { .. } | MovementCause::OpeningBalance => None,
    }
}
