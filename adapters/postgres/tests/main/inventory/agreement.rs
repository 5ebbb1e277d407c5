//! The statement that grants one line decides as the book does, and so does everything else: the
//! same random history in Postgres and in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use stockade_change_feed::{ManualClock, Timestamp};
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{
    ActingFor, Delta, InventoryStore, Line, LocationId, MovementCause, OwnerId, Quantity,
    StockChange, StockSource, Transition, TransitionRequest,
};

use super::shop::{adjustment, at_most, id, line, open, reserve, sku, wants};

const SKUS: [&str; 4] = ["cap", "mug", "tee", "unknown"];
const PLACES: [&str; 3] = ["main", "amsterdam", "berlin"];
const STEPS: usize = 400;

/// Numbers that look random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    fn one_of<'a>(&mut self, names: &[&'a str]) -> &'a str {
        names[self.below(names.len())]
    }

    fn line(&mut self) -> Line {
        let of = self.one_of(&SKUS);
        let line = line(of, 1 + self.below(3) as u64);
        match self.below(4) {
            0 => line.at(LocationId::new(self.one_of(&PLACES)).unwrap()),
            _ => line,
        }
    }
}

/// One call, and what came of it without its times.
async fn step(store: &dyn InventoryStore, dice: &mut Dice, n: usize) -> String {
    // Few ids, so that many are used again, with the same content and with other.
    let name = format!("r{}", dice.below(STEPS / 3));
    match dice.below(10) {
        0..5 => {
            let mut request = wants(&name, [dice.line()]);
            if dice.below(10) == 0 {
                request.owner = OwnerId::new("bob").unwrap();
            }
            told(reserve(store, &request).await)
        }
        5 => {
            let lines: Vec<Line> = SKUS[..3].iter().map(|of| line(of, 1)).collect();
            told(reserve(store, &wants(&name, lines)).await)
        }
        6 => {
            let batch: Vec<_> = (0..4)
                .map(|k| wants(&format!("b{}-{k}", n / 2), [dice.line()]))
                .collect();
            let outcomes = store.reserve(&batch).await.unwrap();
            outcomes.into_iter().map(told).collect()
        }
        7 | 8 => {
            use Transition::{Cancel, Confirm, Fulfil, Release};
            let transition = [Cancel, Confirm, Fulfil, Release][dice.below(4)];
            let acting_for = ActingFor::Anyone;
            let id = id(&name);
            let request = TransitionRequest {
                id,
                transition,
                acting_for,
            };
            match store.transition(&request).await {
                Ok(done) => format!("{:?} {:?}", done.effect, done.reservation.state),
                Err(error) => error.to_string(),
            }
        }
        _ => {
            let change = match dice.below(3) {
                0 => StockChange::Set(dice.below(20) as u64),
                1 => StockChange::Receive(Quantity::new(1 + dice.below(5) as u64).unwrap()),
                _ => StockChange::Correct(dice.below(9) as i64 - 4),
            };
            let operation = format!("op{}", dice.below(STEPS / 5));
            // One SKU stays at one location, where a line needs to name none.
            let (of, at) = match dice.below(3) {
                0 => ("cap", "main"),
                1 => ("mug", dice.one_of(&PLACES[..2])),
                _ => ("tee", dice.one_of(&PLACES)),
            };
            let adjusted = adjustment(&operation, of, change).at(LocationId::new(at).unwrap());
            match store.adjust(&[adjusted]).await.unwrap().remove(0) {
                Ok(done) => format!(
                    "{:?} {:?} {:?}",
                    done.effect, done.level.counts, done.level.version
                ),
                Err(error) => error.to_string(),
            }
        }
    }
}

fn told(
    outcome: Result<stockade_inventory_core::Reserved, stockade_inventory_core::InventoryError>,
) -> String {
    match outcome {
        Ok(done) => {
            let of = done.reservation;
            format!("{:?} {} {:?} {:?}", done.effect, of.id, of.state, of.lines)
        }
        Err(error) => error.to_string(),
    }
}

type Told = (u64, Delta, MovementCause);

/// The movements of each location, without their times.
async fn movements(store: &dyn InventoryStore, of: &str) -> BTreeMap<LocationId, Vec<Told>> {
    let page = store
        .movements(&sku(of), None, at_most(10_000))
        .await
        .unwrap();
    let mut by_place: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for movement in page.movements {
        let told = (movement.version.number, movement.delta, movement.cause);
        by_place.entry(movement.location).or_default().push(told);
    }
    by_place
}

async fn agrees(seed: u64) {
    let Some(h) = open().await else { return };
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let memory = MemoryInventory::new(Arc::new(clock));
    let (mut here, mut there) = (Dice(seed), Dice(seed));
    for n in 0..STEPS {
        let expected = step(&memory, &mut there, n).await;
        let told = step(&h.store, &mut here, n).await;
        assert_eq!(told, expected, "step {n} of the history {seed}");
    }
    for of in SKUS {
        let counts = async |store: &dyn InventoryStore| {
            let stock = StockSource::stock(store, &[sku(of)])
                .await
                .unwrap()
                .remove(0);
            let levels = stock.iter().flat_map(|stock| stock.levels().to_vec());
            levels
                .map(|level| (level.location, level.counts, level.version))
                .collect::<Vec<_>>()
        };
        assert_eq!(counts(&h.store).await, counts(&memory).await, "{of}");
        assert_eq!(movements(&h.store, of).await, movements(&memory, of).await);
    }
    stockade_testkit::inventory::check_ledger(&h.store).await;
}

#[tokio::test]
async fn a_history_has_the_same_outcomes_as_in_memory() {
    agrees(0x5eed).await;
}

#[tokio::test]
async fn another_history_has_the_same_outcomes_as_in_memory() {
    agrees(0xcafe_f00d).await;
}
