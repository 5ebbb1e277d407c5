//! The help of each metric of a service and of the stockade crates.

use metrics::Unit;

use super::{FAILED_WORKERS, HTTP_REQUESTS, HTTP_SECONDS, RESIDENT, RESIDENT_MAX};

/// The help of a metric.
#[derive(Clone, Copy, Debug)]
pub struct Description {
    /// Its name.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// Its meaning, in a sentence without a full stop.
    pub help: &'static str,
}

/// A kind of metric.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A counter without labels.
    Counter,
    /// A counter with labels.
    LabelledCounter,
    /// A histogram of seconds.
    Seconds,
    /// A gauge in this unit.
    Gauge(Unit),
}

impl Description {
    /// A counter without labels.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Counter,
            help,
        }
    }

    /// A counter with labels.
    #[must_use]
    pub const fn labelled(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::LabelledCounter,
            help,
        }
    }

    /// A histogram of seconds.
    #[must_use]
    pub const fn seconds(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Seconds,
            help,
        }
    }

    /// A gauge.
    #[must_use]
    pub const fn gauge(name: &'static str, unit: Unit, help: &'static str) -> Self {
        Self {
            name,
            kind: Kind::Gauge(unit),
            help,
        }
    }
}

/// The metrics that every service has and describes.
pub const SERVICE: &[Description] = &[
    Description::labelled(HTTP_REQUESTS, "HTTP requests by method, route and status"),
    Description::seconds(
        HTTP_SECONDS,
        "Time from a request to the start of its answer, by method and route",
    ),
    Description::gauge(
        FAILED_WORKERS,
        Unit::Count,
        "Background workers that have failed; above 0 the process must be restarted",
    ),
    Description::gauge(RESIDENT, Unit::Bytes, "Resident memory of the process"),
    Description::gauge(
        RESIDENT_MAX,
        Unit::Bytes,
        "The most resident memory that the process has had",
    ),
];

/// Metrics of `stockade-change-feed`.
pub const FEED: &[Description] = &[
    Description::labelled(
        "stockade_feed_records_handled_total",
        "Records handled, by group and topic",
    ),
    Description::labelled(
        "stockade_feed_records_retried_total",
        "Records handled again after a failure, by group and topic",
    ),
    Description::labelled(
        "stockade_feed_records_dead_lettered_total",
        "Records stored as dead letters, by group and topic",
    ),
    Description::gauge(
        "stockade_feed_batch_in_hand_seconds",
        Unit::Seconds,
        "Time that the handler has spent on the current batch, by group",
    ),
    Description::gauge(
        "stockade_feed_lag_records",
        Unit::Count,
        "Unfinished records of a group in a topic",
    ),
    Description::gauge(
        "stockade_feed_lag_seconds",
        Unit::Seconds,
        "Age of the oldest unfinished record of a group in a topic",
    ),
    Description::labelled(
        "stockade_feed_lag_failures_total",
        "Times that the lag of a group could not be read",
    ),
];

/// Metrics of `stockade-inventory-core`.
pub const INVENTORY: &[Description] = &[
    Description::labelled(
        "stockade_inventory_operations_total",
        "Inventory operations, by operation and outcome",
    ),
    Description::seconds(
        "stockade_inventory_operation_seconds",
        "Duration of inventory operations including retries, by operation",
    ),
    Description::labelled(
        "stockade_inventory_timer_failures_total",
        "Reservation timers that could not be set or removed, by operation",
    ),
    Description::labelled(
        "stockade_inventory_expired_total",
        "Expired reservations, by what found them: timer or sweep",
    ),
    Description::labelled(
        "stockade_inventory_expiry_failures_total",
        "Failed operations of the expiry worker, by operation",
    ),
    Description::counter(
        "stockade_inventory_published_total",
        "Stock events that the log acknowledged",
    ),
    Description::counter(
        "stockade_inventory_publish_failures_total",
        "Stock events that the log did not acknowledge",
    ),
    Description::gauge(
        "stockade_inventory_relay_complete_age_seconds",
        Unit::Seconds,
        "Time since all stock changes were last known to be published",
    ),
    Description::labelled(
        "stockade_inventory_purged_total",
        "Purged reservations and movements, by which of the two",
    ),
    Description::counter(
        "stockade_inventory_purge_failures_total",
        "Failed passes of the retention worker",
    ),
];

/// Metrics of the catalogue of `stockade-catalog-core`.
pub const CATALOG: &[Description] = &[
    Description::labelled(
        "stockade_catalog_operations_total",
        "Catalogue operations, by operation and outcome; a batch counts once for each product",
    ),
    Description::seconds(
        "stockade_catalog_operation_seconds",
        "Duration of catalogue operations in the store, by operation",
    ),
];

/// Metrics of the availability of `stockade-catalog-core`.
pub const AVAILABILITY: &[Description] = &[
    Description::labelled(
        "stockade_availability_answers_total",
        "Availabilities returned, by the source of the stock",
    ),
    Description::labelled(
        "stockade_availability_circuit_changes_total",
        "State changes of the availability circuit, by the new state",
    ),
    Description::counter(
        "stockade_availability_gaps_total",
        "Partitions in which the availability cache missed events, so that it is filled again",
    ),
    Description::counter(
        "stockade_availability_inventory_failures_total",
        "Direct requests to inventory that failed or timed out",
    ),
    Description::counter(
        "stockade_availability_older_epochs_total",
        "Stock events of an older epoch: an old publisher still runs after a restore of inventory",
    ),
    Description::counter(
        "stockade_availability_refilled_skus_total",
        "SKUs written to the availability cache from a scan of inventory",
    ),
];

/// Metrics of `stockade-search-sync`.
pub const SEARCH: &[Description] = &[
    Description::labelled(
        "stockade_search_rows_total",
        "Records merged into documents, by source: table or stock",
    ),
    Description::counter(
        "stockade_search_ignored_total",
        "Records of tables that search does not use",
    ),
    Description::counter(
        "stockade_search_documents_written_total",
        "Documents written to the search index",
    ),
    Description::counter(
        "stockade_search_conflicts_total",
        "Documents merged again because another writer changed them first",
    ),
    Description::counter(
        "stockade_search_documents_cut_total",
        "Documents written without some of their values because they have too many",
    ),
    Description::counter(
        "stockade_search_dead_letters_total",
        "Records that search could not use and stored as dead letters",
    ),
    Description::counter(
        "stockade_search_stale_epochs_total",
        "Stock events of an older epoch than search has seen",
    ),
];

/// Metrics of `stockade-tantivy`.
pub const TANTIVY: &[Description] = &[
    Description::counter(
        "stockade_tantivy_commits_total",
        "Commits of the search index",
    ),
    Description::counter(
        "stockade_tantivy_rebuilds_total",
        "Rebuilds of the search index from its stored documents",
    ),
    Description::seconds(
        "stockade_tantivy_refresh_seconds",
        "Time until written documents were searchable",
    ),
    Description::gauge(
        "stockade_tantivy_segments",
        Unit::Count,
        "Segments that each search reads; fewer are faster",
    ),
];

/// Metrics of the change capture of `stockade-postgres`.
pub const CAPTURE: &[Description] = &[
    Description::gauge(
        "stockade_capture_retained_bytes",
        Unit::Bytes,
        "Write-ahead log that the replication slot retains, by slot",
    ),
    Description::gauge(
        "stockade_capture_behind_bytes",
        Unit::Bytes,
        "Write-ahead log that is not captured yet, by slot",
    ),
];

/// Metrics of `stockade-http`.
pub const HTTP: &[Description] = &[
    Description::labelled(
        "stockade_http_calls_total",
        "Calls for the stock of another service, by operation and outcome",
    ),
    Description::seconds(
        "stockade_http_call_seconds",
        "Duration of calls for the stock of another service, by operation",
    ),
    Description::labelled(
        "stockade_http_answers_total",
        "Requests for stock that were answered, by operation and status",
    ),
];

/// Metrics of `stockade-kafka`.
pub const KAFKA: &[Description] = &[
    Description::counter(
        "stockade_kafka_connections_opened_total",
        "Connections to brokers that were opened",
    ),
    Description::seconds(
        "stockade_kafka_request_seconds",
        "Time from a request to a broker to its answer, by api",
    ),
    Description::labelled(
        "stockade_kafka_partitions_assigned_total",
        "Partitions that members of this process were assigned, by group",
    ),
    Description::labelled(
        "stockade_kafka_partitions_revoked_total",
        "Partitions that were revoked from members of this process, by group",
    ),
    Description::labelled(
        "stockade_kafka_offset_resets_total",
        "Partitions whose committed offset was lost, by group",
    ),
];

/// Metrics of `stockade-redis`.
pub const REDIS: &[Description] = &[
    Description::labelled(
        "stockade_redis_failures_total",
        "Commands of Redis that failed, by operation and outcome",
    ),
    Description::counter(
        "stockade_redis_misread_replies_total",
        "Replies of Redis to another command, whose call was repeated",
    ),
    Description::counter(
        "stockade_redis_timers_taken_total",
        "Reservation timers that were taken when they were due",
    ),
];
