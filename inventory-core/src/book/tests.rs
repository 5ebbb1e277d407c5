//! The rules that a number or a name decides.

use std::time::Duration;

use stockade_change_feed::Timestamp;

use crate::book::{Book, LocationPriority};
use crate::error::InventoryError as Error;
use crate::model::*;

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

fn location(name: &str) -> LocationId {
    LocationId::new(name).unwrap()
}

fn level(name: &str, at: &str, physical: u64, reserved: u64, escrowed: u64) -> StockLevel {
    let counts = Counts::new(physical, reserved, escrowed).unwrap();
    let version = Version::new(3, 7);
    StockLevel::new(sku(name), location(at), counts, version, Timestamp::EPOCH)
}

fn book(levels: &[StockLevel]) -> Book {
    let priority = LocationPriority::new(vec![location("west"), location("east")]);
    let mut book = Book::new(NOW, 3, priority);
    for level in levels {
        book.load_level(level.clone());
    }
    book
}

fn request(id: &str, lines: &[(&str, u64)]) -> ReserveRequest {
    let lines = lines
        .iter()
        .map(|(name, units)| Line::new(sku(name), Quantity::new(*units).unwrap()));
    let id = ReservationId::new(id).unwrap();
    let owner = OwnerId::new("ann").unwrap();
    ReserveRequest::new(id, owner, Lines::new(lines).unwrap())
}

fn step(id: &str, transition: Transition) -> TransitionRequest {
    TransitionRequest {
        id: ReservationId::new(id).unwrap(),
        transition,
        acting_for: ActingFor::Anyone,
    }
}

fn adjustment(operation: &str, change: StockChange) -> Adjustment {
    let operation = OperationId::new(operation).unwrap();
    let reason = Reason::new("counted").unwrap();
    Adjustment::new(operation, sku("tee"), change, reason)
}

fn granted_at(book: &mut Book, id: &str, units: u64) -> String {
    let reserved = book.reserve(&request(id, &[("tee", units)])).unwrap();
    reserved.reservation.lines[0].location.as_str().to_owned()
}

#[test]
fn the_first_location_that_holds_all_of_a_line_is_taken() {
    let places = [("aside", 9), ("east", 5), ("far", 9), ("west", 2)];
    let mut book = book(&places.map(|(at, units)| level("tee", at, units, 0, 0)));
    assert_eq!(granted_at(&mut book, "a", 2), "west");
    assert_eq!(granted_at(&mut book, "b", 2), "east");
    assert_eq!(granted_at(&mut book, "c", 9), "aside");
    assert_eq!(granted_at(&mut book, "d", 4), "far");
}

#[test]
fn a_refusal_names_every_line() {
    let levels = [level("cap", "west", 5, 2, 2), level("tee", "west", 1, 1, 0)];
    let mut book = book(&levels);
    let short = book.reserve(&request("a", &[("tee", 1), ("cap", 2)]));
    assert_eq!(
        short.unwrap_err().to_string(),
        "not enough stock: cap: 2 requested, 1 open; tee: 1 requested, 0 open"
    );
    let unknown = book.reserve(&request("a", &[("tee", 1), ("sock", 1), ("hat", 1)]));
    assert!(
        matches!(unknown, Err(Error::UnknownSku { skus }) if skus == [sku("hat"), sku("sock")])
    );
    assert_eq!(book.into_changes(), super::Changes::default());
}

#[test]
fn the_winner_of_the_last_unit_may_repeat() {
    let mut book = book(&[level("tee", "west", 1, 0, 0)]);
    let first = book.reserve(&request("a", &[("tee", 1)])).unwrap();
    let again = book.reserve(&request("a", &[("tee", 1)])).unwrap();
    assert_eq!(
        (first.effect, again.effect),
        (Effect::Applied, Effect::Repeated)
    );
    assert_eq!(first.reservation, again.reservation);
    let other = book.reserve(&request("a", &[("tee", 2)]));
    assert!(matches!(other, Err(Error::ReservationConflict { .. })));
    let stranger = ReserveRequest {
        owner: OwnerId::new("bob").unwrap(),
        ..request("a", &[("tee", 1)])
    };
    let stranger = book.reserve(&stranger);
    assert!(matches!(stranger, Err(Error::ReservationConflict { .. })));
}

#[test]
fn a_change_has_the_next_number_in_the_newest_epoch() {
    for (stores, expected) in [(2, Version::new(3, 8)), (5, Version::new(5, 8))] {
        let mut book = Book::new(NOW, stores, LocationPriority::default());
        book.load_level(level("tee", "main", 4, 0, 0));
        book.reserve(&request("a", &[("tee", 3)])).unwrap();
        let changes = book.into_changes();
        assert_eq!(changes.levels[0].after.version, expected);
        assert_eq!(changes.levels[0].after.changed_at, NOW);
        let movement = &changes.movements[0];
        assert_eq!((movement.version, movement.at), (expected, NOW));
        let reserved = Delta {
            reserved: 3,
            ..Delta::default()
        };
        assert_eq!(movement.delta, reserved);
    }
}

#[test]
fn fulfilled_units_leave() {
    let mut book = book(&[level("tee", "west", 5, 0, 0)]);
    book.reserve(&request("a", &[("tee", 3)])).unwrap();
    book.transition(&step("a", Transition::Confirm)).unwrap();
    book.transition(&step("a", Transition::Fulfil)).unwrap();
    let confirmed = book.transition(&step("a", Transition::Confirm)).unwrap();
    assert_eq!(confirmed.effect, Effect::Repeated);
    let changes = book.into_changes();
    assert_eq!(
        changes.levels[0].after.counts,
        Counts::new(2, 0, 0).unwrap()
    );
    assert_eq!(changes.movements.len(), 2, "confirming moves nothing");
    assert_eq!(changes.reservations.len(), 1);
}

#[test]
fn an_extension_has_a_limit() {
    let mut book = book(&[level("tee", "west", 5, 0, 0)]);
    let held = book
        .reserve(&request("a", &[("tee", 3)]))
        .unwrap()
        .reservation;
    let mut extend = |until| {
        let (id, acting_for) = (held.id.clone(), ActingFor::Anyone);
        book.extend(&ExtendRequest {
            id,
            until,
            acting_for,
        })
    };
    let latest = NOW.plus(Ttl::MAX.get());
    let beyond = extend(latest.plus(Duration::from_micros(1)));
    assert!(matches!(beyond, Err(Error::Invalid { field: "until", .. })));
    assert_eq!(extend(latest).unwrap().reservation.deadline, latest);
    let back = extend(NOW).unwrap();
    assert_eq!(
        (back.effect, back.reservation.deadline),
        (Effect::Repeated, latest)
    );
}

#[test]
fn the_count_stays_within_its_range() {
    let mut book = book(&[level("tee", "main", Counts::MAX - 1, 2, 1)]);
    let mut adjust = |id, change| book.adjust(&adjustment(id, change));
    let two = Quantity::new(2).unwrap();
    for change in [
        StockChange::Receive(two),
        StockChange::Correct(2),
        StockChange::Correct(i64::MAX),
        StockChange::Correct(i64::MIN),
        StockChange::Set(u64::MAX),
    ] {
        let refused = adjust("a", change);
        assert!(
            matches!(refused, Err(Error::Invalid { field: "stock", .. })),
            "{change:?}"
        );
    }
    let below = adjust("a", StockChange::Set(1));
    assert!(matches!(
        below,
        Err(Error::BelowPromised {
            promised: 3,
            short: 2,
            ..
        })
    ));
    let to_the_brim = adjust("a", StockChange::Receive(Quantity::ONE)).unwrap();
    assert_eq!(to_the_brim.level.counts.physical(), Counts::MAX);
}

#[test]
fn setting_the_present_count_is_remembered() {
    let mut book = book(&[level("tee", "main", 5, 0, 0)]);
    let set = adjustment("a", StockChange::Set(5));
    assert_eq!(book.adjust(&set).unwrap().effect, Effect::Applied);
    assert_eq!(book.adjust(&set).unwrap().effect, Effect::Repeated);
    let movements = book.into_changes().movements;
    assert_eq!((movements.len(), movements[0].delta), (1, Delta::default()));
}

#[test]
fn contradicting_rows_are_damage() {
    let mut book = book(&[level("tee", "west", 5, 2, 0)]);
    for (id, at, units) in [("gone", "north", 1), ("small", "west", 3)] {
        let line = ReservedLine {
            sku: sku("tee"),
            location: location(at),
            quantity: Quantity::new(units).unwrap(),
        };
        let fine = ReservedLine {
            sku: sku("tee"),
            location: location("west"),
            quantity: Quantity::ONE,
        };
        let (id, owner) = (
            ReservationId::new(id).unwrap(),
            OwnerId::new("ann").unwrap(),
        );
        book.load_reservation(Reservation::new(id, owner, vec![fine, line], NOW, NOW));
    }
    for id in ["gone", "small"] {
        let released = book.transition(&step(id, Transition::Release));
        assert!(matches!(released, Err(Error::Damaged { .. })));
        let expired = book.expire(&ReservationId::new(id).unwrap());
        assert!(matches!(expired, Err(Error::Damaged { .. })));
    }
    let mut movement = book
        .adjust(&adjustment("a", StockChange::Set(5)))
        .unwrap()
        .movement;
    assert!(matches!(movement.cause, MovementCause::Adjusted { .. }));
    let mut damaged = Book::new(NOW, 3, LocationPriority::default());
    movement.location = LocationId::default();
    damaged.load_operation(OperationId::new("a").unwrap(), movement);
    let repeated = damaged.adjust(&adjustment("a", StockChange::Set(5)));
    assert!(matches!(repeated, Err(Error::Damaged { .. })));
    assert_eq!(damaged.into_changes(), super::Changes::default());
}

#[test]
fn a_row_is_loaded_once() {
    let before = level("tee", "main", 4, 0, 0);
    let mut book = book(std::slice::from_ref(&before));
    book.reserve(&request("a", &[("tee", 1)])).unwrap();
    // A store that loads row by row meets the same level again, in its old state.
    book.load_level(before.clone());
    book.reserve(&request("b", &[("tee", 1)])).unwrap();
    let changes = book.into_changes();
    assert_eq!(
        changes.levels[0].after.counts,
        Counts::new(4, 2, 0).unwrap()
    );
    assert_eq!(changes.levels[0].before, Some(before));
    assert!(
        changes
            .reservations
            .iter()
            .all(|changed| changed.before.is_none())
    );
}
