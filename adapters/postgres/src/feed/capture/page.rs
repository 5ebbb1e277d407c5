//! How many rows are fetched at once.

/// The most bytes that rows in hand should have.
const BYTES: usize = 4 << 20;
const MOST: usize = 200;

/// Many rows where they are small, and few where they are large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) rows: usize,
}

impl Page {
    /// Before it is known how large they are.
    pub(super) const FIRST: Self = Self { rows: 8 };

    /// The one after a page of so many bytes.
    pub(super) fn after(self, bytes: usize) -> Self {
        let each = bytes.div_ceil(self.rows).max(1);
        let rows = (BYTES / each).clamp(1, MOST);
        Self { rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_come_few_at_a_time() {
        let (small, large) = (100, 1 << 20);
        let mut page = Page::FIRST;
        for (size, rows) in [
            (small, 200),
            (large, 4),
            (BYTES * 9, 1),
            (small, 200),
            (0, 200),
        ] {
            page = page.after(page.rows * size);
            assert_eq!(page.rows, rows, "after rows of {size} bytes");
        }
    }
}
