//! The number of rows that are fetched at once.

/// The most bytes that the fetched rows should have.
const BYTES: usize = 4 << 20;
const MOST: usize = 200;

/// Many rows when they are small, few when they are large.
#[derive(Clone, Copy, Debug)]
pub(super) struct Page {
    pub(super) rows: usize,
}

impl Page {
    /// The first page, when the size of rows is unknown.
    pub(super) const FIRST: Self = Self { rows: 8 };

    /// The size of the page after one with this many bytes.
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
