//! Random requests, against a model.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use stockade_change_feed::Timestamp;

use crate::book::model::{Ask, Model, Told, refused};
use crate::book::{Book, Changed, Changes, LocationPriority};
use crate::model::*;

fn ask(book: &mut Book, ask: &Ask) -> Told {
    let told = match ask {
        Ask::Reserve(request) => book
            .reserve(request)
            .map(|done| Told::Reservation(done.effect, done.reservation)),
        Ask::Step(request) => book
            .transition(request)
            .map(|done| Told::Reservation(done.effect, done.reservation)),
        Ask::Extend(request) => book
            .extend(request)
            .map(|done| Told::Reservation(done.effect, done.reservation)),
        Ask::Expire(id) => book.expire(id).map(Told::Expiry),
        Ask::Adjust(adjustment) => book
            .adjust(adjustment)
            .map(|done| Told::Stock(done.effect, done.level.counts.physical())),
    };
    told.unwrap_or_else(|error| refused(&error))
}

type Place = (Sku, LocationId);

/// What a store would hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    levels: BTreeMap<Place, StockLevel>,
    reservations: BTreeMap<ReservationId, Reservation>,
    movements: Vec<Movement>,
}

impl Rows {
    fn book(&self, now: Timestamp) -> Book {
        let mut book = Book::new(now, 0, priority());
        for level in self.levels.values() {
            book.load_level(level.clone());
        }
        for reservation in self.reservations.values() {
            book.load_reservation(reservation.clone());
        }
        for movement in &self.movements {
            if let MovementCause::Adjusted { operation, .. } = &movement.cause {
                book.load_operation(operation.clone(), movement.clone());
            }
        }
        book
    }

    fn write(&mut self, changes: Changes) {
        for Changed { after: level, .. } in changes.levels {
            let place = (level.sku.clone(), level.location.clone());
            self.levels.insert(place, level);
        }
        for Changed {
            after: reservation, ..
        } in changes.reservations
        {
            self.reservations
                .insert(reservation.id.clone(), reservation);
        }
        self.movements.extend(changes.movements);
    }

    /// Asks with a book for this request alone.
    fn ask(&mut self, now: Timestamp, request: &Ask) -> Told {
        let mut book = self.book(now);
        let told = ask(&mut book, request);
        self.write(book.into_changes());
        told
    }

    /// The rules that hold between the rows, whatever was asked.
    fn check(&self) {
        for ((sku, location), level) in &self.levels {
            let here = |s: &Sku, l: &LocationId| s == sku && l == location;
            let promised: u64 = self
                .reservations
                .values()
                .filter(|reservation| reservation.state.is_live())
                .flat_map(|reservation| &reservation.lines)
                .filter(|line| here(&line.sku, &line.location))
                .map(|line| line.quantity.get())
                .sum();
            assert_eq!(
                level.counts.reserved(),
                promised,
                "what is promised is reserved"
            );
            let mut counts = Counts::default();
            let mut number = 0;
            for movement in self.movements.iter().filter(|m| here(&m.sku, &m.location)) {
                counts = counts.after(movement.delta).expect("never oversold");
                number += 1;
                assert_eq!(movement.version.number, number);
            }
            assert_eq!(level.counts, counts, "movements add up");
            assert_eq!(level.version.number, number, "each change has a version");
        }
    }
}

fn sku(n: u8) -> Sku {
    Sku::new(format!("sku-{n}")).unwrap()
}

fn location(n: u8) -> LocationId {
    LocationId::new(format!("location-{n}")).unwrap()
}

fn priority() -> LocationPriority {
    LocationPriority::new(vec![location(1)])
}

fn reservation_id() -> impl Strategy<Value = ReservationId> {
    (0..6u8).prop_map(|n| ReservationId::new(format!("reservation-{n}")).unwrap())
}

fn owner() -> impl Strategy<Value = OwnerId> {
    let owner = |name| OwnerId::new(name).unwrap();
    prop_oneof![9 => Just(owner("ann")), 1 => Just(owner("bob"))]
}

fn acting_for() -> impl Strategy<Value = ActingFor> {
    prop_oneof![Just(ActingFor::Anyone), owner().prop_map(ActingFor::Owner)]
}

fn lines() -> impl Strategy<Value = Lines> {
    let line = (0..2u8, prop::option::weighted(0.3, 0..3u8), 1..4u64).prop_map(|(s, at, units)| {
        let line = Line::new(sku(s), Quantity::new(units).unwrap());
        match at {
            Some(at) => line.at(location(at)),
            None => line,
        }
    });
    prop::collection::vec(line, 1..3)
        .prop_filter_map("lines that don't fit", |lines| Lines::new(lines).ok())
}

fn change() -> impl Strategy<Value = StockChange> {
    prop_oneof![
        (1..8u64).prop_map(|units| StockChange::Receive(Quantity::new(units).unwrap())),
        (-4..4i64).prop_map(StockChange::Correct),
        (0..8u64).prop_map(StockChange::Set),
    ]
}

fn asks() -> impl Strategy<Value = Ask> {
    let reserve =
        (reservation_id(), owner(), lines(), 1..40u64).prop_map(|(id, by, lines, ttl)| {
            let ttl = Ttl::new(Duration::from_secs(ttl)).unwrap();
            Ask::Reserve(ReserveRequest::new(id, by, lines).with_ttl(ttl))
        });
    let transition = prop_oneof![
        Just(Transition::Confirm),
        Just(Transition::Release),
        Just(Transition::Cancel),
        Just(Transition::Fulfil),
    ];
    let step = (reservation_id(), transition, acting_for()).prop_map(|(id, transition, by)| {
        let acting_for = by;
        Ask::Step(TransitionRequest {
            id,
            transition,
            acting_for,
        })
    });
    let extend = (reservation_id(), 0..120u64, acting_for()).prop_map(|(id, until, acting_for)| {
        let until = Timestamp::EPOCH.plus(Duration::from_secs(until));
        Ask::Extend(ExtendRequest {
            id,
            until,
            acting_for,
        })
    });
    let adjust = (0..12u8, 0..2u8, 0..3u8, change()).prop_map(|(operation, s, at, change)| {
        let operation = OperationId::new(format!("operation-{operation}")).unwrap();
        let reason = Reason::new("test").unwrap();
        Ask::Adjust(Adjustment::new(operation, sku(s), change, reason).at(location(at)))
    });
    prop_oneof![
        4 => reserve,
        3 => step,
        1 => extend,
        2 => reservation_id().prop_map(Ask::Expire),
        3 => adjust,
    ]
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::EPOCH.plus(Duration::from_secs(seconds))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Every outcome is the model's, and the rows keep their rules at every step. The same
    /// request again, at once, changes nothing.
    #[test]
    fn decides_as_the_model_does(asks in prop::collection::vec((asks(), 0..8u64), 1..60)) {
        let mut rows = Rows::default();
        let mut model = Model::new([location(1), location(0), location(2)]);
        let mut seconds = 0;
        for (ask, pause) in &asks {
            seconds += pause;
            let expected = model.told(at(seconds), ask);
            prop_assert_eq!(rows.ask(at(seconds), ask), expected);
            rows.check();
            let before = rows.clone();
            rows.ask(at(seconds), ask);
            prop_assert_eq!(&rows, &before, "a repetition changed something");
        }
    }

    /// One book for many requests decides as a book for each, and writes each row once.
    #[test]
    fn a_batch_is_its_requests_one_by_one(
        before in prop::collection::vec(asks(), 0..30),
        batch in prop::collection::vec(asks(), 1..30),
    ) {
        let mut one_by_one = Rows::default();
        for ask in &before {
            one_by_one.ask(at(0), ask);
        }
        let mut together = one_by_one.clone();
        let mut book = together.book(at(20));
        for request in &batch {
            let told = ask(&mut book, request);
            prop_assert_eq!(told, one_by_one.ask(at(20), request));
        }
        let changes = book.into_changes();
        let places: Vec<Place> =
            changes.levels.iter().map(|l| (l.after.sku.clone(), l.after.location.clone())).collect();
        prop_assert!(places.is_sorted_by(|a, b| a < b), "each level once, in lock order");
        together.write(changes);
        prop_assert_eq!(together, one_by_one);
    }
}
