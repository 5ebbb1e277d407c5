//! Products to try a shop with: a sample, how a catalogue is written down, and
//! the way from it to an index.

mod fill;
mod line;

pub use fill::{Filled, fill};
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
