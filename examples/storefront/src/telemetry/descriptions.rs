//! What each metric means, and what it counts in.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};

use super::{
    CIRCUIT, FAILED_WORKERS, HTTP_REQUESTS, HTTP_SECONDS, LAG_RECORDS, LAG_SECONDS, RESIDENT,
    RESIDENT_MOST,
};

type Described = (&'static str, &'static str);

/// Counters without labels: there from the start, so that the first increment is seen as one.
const PLAIN_COUNTERS: [Described; 14] = [
    (
        "stockade_inventory_published_total",
        "Stock events that the log acknowledged",
    ),
    (
        "stockade_inventory_publish_failures_total",
        "Stock events that the log did not acknowledge",
    ),
    (
        "stockade_inventory_purge_failures_total",
        "Passes of the retention worker that failed",
    ),
    (
        "stockade_availability_inventory_failures_total",
        "Calls of inventory by pages that failed or took too long",
    ),
    (
        "stockade_availability_older_epochs_total",
        "Stock events of an older epoch: inventory was restored, and something still publishes from before",
    ),
    (
        "stockade_availability_refilled_skus_total",
        "SKUs put into the cache of stock from a scan of inventory",
    ),
    (
        "stockade_search_ignored_total",
        "Records of tables that search has no use for",
    ),
    (
        "stockade_search_documents_written_total",
        "Documents written to the search index",
    ),
    (
        "stockade_search_conflicts_total",
        "Documents merged again because another writer was first",
    ),
    (
        "stockade_search_documents_cut_total",
        "Documents written without some of their values, because they have too many",
    ),
    (
        "stockade_search_dead_letters_total",
        "Records that search can never take in",
    ),
    (
        "stockade_search_stale_epochs_total",
        "Stock events of an older epoch than search has seen",
    ),
    (
        "stockade_tantivy_commits_total",
        "Commits of the search index",
    ),
    (
        "stockade_tantivy_rebuilds_total",
        "Times the search index was built anew from its stored documents",
    ),
];

const LABELLED_COUNTERS: [Described; 13] = [
    (HTTP_REQUESTS, "Requests by method, route and status"),
    (
        "stockade_inventory_operations_total",
        "Calls of inventory by operation and outcome",
    ),
    (
        "stockade_catalog_operations_total",
        "Calls of the catalogue by operation and outcome; of writes each product counts",
    ),
    (
        "stockade_inventory_timer_failures_total",
        "Timers of reservations that could not be set or removed, by operation",
    ),
    (
        "stockade_inventory_expired_total",
        "Reservations that expired, by who found them: timer or sweep",
    ),
    (
        "stockade_inventory_purged_total",
        "What was purged because it is long over: reservations or movements",
    ),
    (
        "stockade_inventory_expiry_failures_total",
        "Failed calls of the expiry worker by operation",
    ),
    (
        "stockade_availability_answers_total",
        "Availabilities shown by origin",
    ),
    (
        "stockade_availability_circuit_changes_total",
        "Changes of the circuit between pages and the cache of stock, by the state changed to",
    ),
    (
        "stockade_search_rows_total",
        "Records that search took in, by source: table or stock",
    ),
    (
        "stockade_feed_records_handled_total",
        "Records handled by group and topic",
    ),
    (
        "stockade_feed_records_retried_total",
        "Records handled again by group and topic",
    ),
    (
        "stockade_feed_records_dead_lettered_total",
        "Records dead-lettered by group and topic",
    ),
];

const SECONDS: [Described; 4] = [
    (
        HTTP_SECONDS,
        "Time until an answer began, by method and route",
    ),
    (
        "stockade_inventory_operation_seconds",
        "Time that calls of inventory took, all attempts together, by operation",
    ),
    (
        "stockade_catalog_operation_seconds",
        "Time that the store took for calls of the catalogue, by operation",
    ),
    (
        "stockade_tantivy_refresh_seconds",
        "Time until the search index showed what was written",
    ),
];

const GAUGES: [(&str, Unit, &str); 11] = [
    (
        CIRCUIT,
        Unit::Count,
        "1 for the state of the circuit between pages and the cache of stock, 0 for the others",
    ),
    (
        LAG_RECORDS,
        Unit::Count,
        "Unread records by group of readers",
    ),
    (
        LAG_SECONDS,
        Unit::Seconds,
        "Age of the oldest unread record by group of readers",
    ),
    (
        FAILED_WORKERS,
        Unit::Count,
        "1 once a worker has ended by itself: the shop needs a restart",
    ),
    (
        "stockade_inventory_relay_complete_age_seconds",
        Unit::Seconds,
        "Time since every change of stock was last known to be published",
    ),
    (
        "stockade_feed_batch_in_hand_seconds",
        Unit::Seconds,
        "How long a handler has been at the batch in hand, by group",
    ),
    (
        "stockade_tantivy_segments",
        Unit::Count,
        "Segments that a search reads: the fewer, the faster",
    ),
    (
        "stockade_capture_retained_bytes",
        Unit::Bytes,
        "Write-ahead log that the slot of the capture holds back, by slot",
    ),
    (
        "stockade_capture_behind_bytes",
        Unit::Bytes,
        "Write-ahead log that is not captured yet, by slot",
    ),
    (RESIDENT, Unit::Bytes, "Memory of the process"),
    (
        RESIDENT_MOST,
        Unit::Bytes,
        "The most memory that the process had",
    ),
];

/// Describes all metrics to the recorder of this process.
pub(super) fn describe() {
    for (name, what) in PLAIN_COUNTERS {
        describe_counter!(name, Unit::Count, what);
        counter!(name).increment(0);
    }
    for (name, what) in LABELLED_COUNTERS {
        describe_counter!(name, Unit::Count, what);
    }
    for (name, what) in SECONDS {
        describe_histogram!(name, Unit::Seconds, what);
    }
    for (name, unit, what) in GAUGES {
        describe_gauge!(name, unit, what);
    }
}

/// Whether `/metrics` describes a metric of this name.
#[must_use]
pub fn describes_metric(name: &str) -> bool {
    let gauges = GAUGES.iter().map(|(name, _, _)| name);
    let others = PLAIN_COUNTERS
        .iter()
        .chain(&LABELLED_COUNTERS)
        .chain(&SECONDS);
    others
        .map(|(name, _)| name)
        .chain(gauges)
        .any(|known| *known == name)
}
