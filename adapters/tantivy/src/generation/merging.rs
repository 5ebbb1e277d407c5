//! Chooses the segments of a quiet index to merge.

use std::cmp::Reverse;
use std::ops::Range;

use tantivy::SegmentMeta;
use tantivy::index::SegmentId;

/// How many segments of similar size tantivy merges into one. Half of tantivy's default, because
/// every search reads all segments.
pub(super) const SEGMENTS_MERGED: usize = 4;

/// The index is quiet after this many refresh intervals without a write.
pub(super) const QUIET: u32 = 20;

/// Small segments: together they have less than one in this many of the documents. Only they are
/// merged then, not the largest segment, so that a document is not rewritten for every few changes.
const SMALL_SHARE: u64 = 8;

/// Segments are not merged into one with more documents, because that would take minutes.
const LARGEST_SEGMENT: u64 = 2_000_000;

/// The segments to merge into one, among those that tantivy's policy does not merge; none if there
/// is nothing to merge.
pub(super) fn to_merge(mut segments: Vec<SegmentMeta>) -> Vec<SegmentId> {
    segments.sort_unstable_by_key(|segment| Reverse(segment.num_docs()));
    let sizes: Vec<_> = segments.iter().map(documents).collect();
    segments[range_to_merge(&sizes)]
        .iter()
        .map(SegmentMeta::id)
        .collect()
}

fn documents(segment: &SegmentMeta) -> u64 {
    u64::from(segment.num_docs())
}

/// Which segments are merged into one, given their numbers of documents, the largest first.
fn range_to_merge(sizes: &[u64]) -> Range<usize> {
    let Some((largest, others)) = sizes.split_first() else {
        return 0..0;
    };
    let small = others.iter().sum::<u64>();
    match small * (SMALL_SHARE - 1) >= *largest && largest + small <= LARGEST_SEGMENT {
        true if sizes.len() > 1 => 0..sizes.len(),
        _ if sizes.len() > 2 && small <= LARGEST_SEGMENT => 1..sizes.len(),
        _ => 0..0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_segment_is_not_merged_with_a_few_documents() {
        assert_eq!(range_to_merge(&[]), 0..0);
        assert_eq!(range_to_merge(&[5]), 0..0);
        assert_eq!(
            range_to_merge(&[70, 9]),
            0..0,
            "the small one is already alone"
        );
        assert_eq!(range_to_merge(&[70, 5, 4]), 1..3);
        assert_eq!(range_to_merge(&[70, 10]), 0..2);
        assert_eq!(range_to_merge(&[70, 8, 2]), 0..3);
        assert_eq!(range_to_merge(&[LARGEST_SEGMENT, 900_000, 900_000]), 1..3);
        assert_eq!(range_to_merge(&[LARGEST_SEGMENT, LARGEST_SEGMENT, 1]), 0..0);
    }
}
