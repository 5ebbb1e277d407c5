//! Random numbers that a simulator can seed.

use std::cell::{Cell, RefCell};

use fastrand::Rng;

thread_local! {
    static GENERATOR: RefCell<Rng> = RefCell::new(Rng::new());
    static IS_SEEDED: Cell<bool> = const { Cell::new(false) };
}

/// Seeds the random numbers of this thread: the same seed gives the same numbers.
///
/// For simulations, which run a whole system on one thread.
pub fn seed_thread(seed: u64) {
    GENERATOR.with_borrow_mut(|generator| generator.seed(seed));
    IS_SEEDED.set(true);
}

/// A number from 0 (inclusive) to 1 (exclusive). For pauses and spreading load, not for secrets or
/// ids.
#[must_use]
pub fn fraction() -> f64 {
    GENERATOR.with_borrow_mut(Rng::f64)
}

/// A number from 0 to `end`, exclusive; 0 if `end` is 0. For spreading load, not for secrets.
#[must_use]
pub fn below(end: usize) -> usize {
    match end {
        0 => 0,
        end => GENERATOR.with_borrow_mut(|generator| generator.usize(..end)),
    }
}

/// 128 random bits for a unique id: from the operating system, or from the seed after
/// [`seed_thread`].
///
/// # Panics
/// When the operating system has no random numbers.
#[must_use]
pub fn bits() -> u128 {
    if IS_SEEDED.get() {
        return GENERATOR.with_borrow_mut(|generator| generator.u128(..));
    }
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).expect("the operating system has random numbers");
    u128::from_ne_bytes(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_what_follows() {
        let draw = |seed| {
            seed_thread(seed);
            (fraction(), below(1_000_000), bits())
        };
        let first = draw(7);
        assert_eq!(first, draw(7));
        assert_ne!(first, draw(8));
    }

    #[test]
    fn without_a_seed_no_two_ids_are_the_same() {
        let drawn = || std::thread::spawn(bits).join();
        assert_ne!(drawn().unwrap(), drawn().unwrap());
        assert_ne!(bits(), bits());
    }
}
