//! The progress of an import.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Time between two lines of the log, if there is no bar.
const EVERY: Duration = Duration::from_secs(5);

/// All progress bars of this process, which share the terminal with the log.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Shows the progress of an import: as a bar if stderr is a terminal, else as lines of the log.
#[derive(Debug)]
pub struct Progress {
    name: String,
    bar: ProgressBar,
    started: Instant,
    said: Instant,
}

impl Progress {
    /// The progress of an import by name. `length` is its size, in bytes or products.
    #[must_use]
    pub fn new(name: impl Into<String>, length: u64) -> Self {
        let name = name.into();
        let style = ProgressStyle::with_template("{prefix} {wide_bar} {percent}% {msg}");
        let bar = ProgressBar::new(length)
            .with_style(style.expect("the template is a constant"))
            .with_prefix(name.clone());
        let bar = BARS.add(bar);
        let now = Instant::now();
        Self {
            name,
            bar,
            started: now,
            said: now,
        }
    }

    /// Progress that is not shown.
    #[must_use]
    pub fn hidden() -> Self {
        let now = Instant::now();
        Self {
            name: String::new(),
            bar: ProgressBar::hidden(),
            started: now,
            said: now,
        }
    }

    /// Sets the position, and the products and failed lines so far.
    pub(super) fn reached(&mut self, position: u64, products: usize, failed: usize) {
        let rate = products as f64 / self.started.elapsed().as_secs_f64().max(0.001);
        self.bar.set_position(position);
        self.bar
            .set_message(format!("{products} products, {rate:.0}/s, {failed} failed"));
        if self.bar.is_hidden() && self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let percent = 100 * position / self.bar.length().unwrap_or(0).max(1);
            tracing::info!(
                name = self.name,
                percent,
                products,
                failed,
                "importing, {rate:.0} products/s"
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Writes lines to stderr, above the progress bars if there are any.
pub(crate) struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
