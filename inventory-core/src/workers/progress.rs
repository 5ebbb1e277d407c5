//! The end of a loop that calls a store while there is more to do.

use stockade_change_feed::Failure;

use crate::model::Rest;

/// A store may say [`Rest::More`] and do nothing, for example because other callers have locked the
/// rows. After this many such calls in a row, the loop ends with an error.
const MOST_IDLE_CALLS: u32 = 10;

/// Counts the calls in a row that did nothing.
#[derive(Debug)]
pub(super) struct Progress {
    operation: &'static str,
    idle_calls: u32,
}

impl Progress {
    pub(super) fn of(operation: &'static str) -> Self {
        Self {
            operation,
            idle_calls: 0,
        }
    }

    /// Whether to call again, after a call that did `done` things.
    ///
    /// # Errors
    /// Where the store says that there is more, and did nothing in too many calls in a row.
    pub(super) fn goes_on(&mut self, done: usize, rest: Rest) -> Result<bool, Failure> {
        if rest == Rest::None {
            return Ok(false);
        }
        self.idle_calls = if done == 0 { self.idle_calls + 1 } else { 0 };
        if self.idle_calls < MOST_IDLE_CALLS {
            return Ok(true);
        }
        let source = format!(
            "the store says that there is more to do, and did nothing in {MOST_IDLE_CALLS} calls \
             in a row"
        );
        Err(Failure::refused(self.operation, source))
    }
}
