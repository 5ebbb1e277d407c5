//! The names of the counters.

/// Records of tables and of stock that changed something, by `source` (`table` or `stock`).
pub const ROWS: &str = "stockade_search_rows_total";
/// Records of tables that the projection does not name.
pub const IGNORED: &str = "stockade_search_ignored_total";
/// Documents written.
pub const WRITTEN: &str = "stockade_search_documents_written_total";
/// Writes that were refused because another writer had changed the document. They are merged and
/// written again.
pub const CONFLICTS: &str = "stockade_search_conflicts_total";
/// Documents written without some of their values, because they have too many.
pub const CUT: &str = "stockade_search_documents_cut_total";
/// Records that can never succeed.
pub const DEAD_LETTERS: &str = "stockade_search_dead_letters_total";
/// Stock events of an older epoch than a known one: inventory was restored, and an old publisher
/// still runs.
pub const STALE_EPOCHS: &str = "stockade_search_stale_epochs_total";
