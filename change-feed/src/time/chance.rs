//! Random numbers that a simulator can seed.

use std::cell::RefCell;

use fastrand::Rng;

thread_local! {
    static GENERATOR: RefCell<Rng> = RefCell::new(Rng::new());
}

/// Makes what follows on this thread depend on `seed` alone: the same seed gives the same numbers.
///
/// For simulations, which run a whole system on one thread.
pub fn seed_thread(seed: u64) {
    GENERATOR.with_borrow_mut(|generator| generator.seed(seed));
}

/// A number from 0 (inclusive) to 1 (exclusive). For pauses and the like, not for secrets or ids.
#[must_use]
pub fn fraction() -> f64 {
    GENERATOR.with_borrow_mut(Rng::f64)
}

/// A number from 0 to `end`, exclusive; 0 where `end` is 0. For spreading load, not for secrets.
#[must_use]
pub fn below(end: usize) -> usize {
    match end {
        0 => 0,
        end => GENERATOR.with_borrow_mut(|generator| generator.usize(..end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_what_follows() {
        let draw = |seed| {
            seed_thread(seed);
            (fraction(), below(1_000_000), fraction())
        };
        let first = draw(7);
        assert_eq!(first, draw(7));
        assert_ne!(first, draw(8));
    }
}
