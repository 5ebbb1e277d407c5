//! Products to try a shop with: a sample, as many more as one likes, how a catalogue is written down, and
//! the way from it to an index.

mod fill;
mod generate;
mod kinds;
mod line;

pub use fill::{Filled, fill, until_shown};
pub use generate::generate;
pub use line::{Entry, LineError};

/// The sample: some 240 products of nineteen types, in the format of [`Entry::parse`].
pub const SAMPLE: &str = include_str!("../sample.ndjson");

/// The products of the sample, in its order.
///
/// # Panics
/// Never: a test reads every line.
pub fn sample() -> impl Iterator<Item = Entry> {
    let entry = |line: &str| Entry::parse(line.as_bytes()).expect("the sample is well formed");
    SAMPLE.lines().map(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_well_formed_and_has_a_product_of_25_variants() {
        let entries: Vec<_> = sample().collect();
        assert!(entries.len() >= 200, "{}", entries.len());
        let meadow = entries.iter().find(|e| e.content.title == "Meadow Tee");
        assert_eq!(meadow.unwrap().content.variants.len(), 25);
    }
}
