//! The conformance suites over the index in memory and in a directory, and tests of this adapter.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod crashes;
mod documents;
mod harnesses;
mod oracle;

use harnesses::{InDirectory, InMemory};

stockade_testkit::index_writer_conformance!(memory_writer, InMemory);
stockade_testkit::index_concurrency_conformance!(memory_concurrency, InMemory);
stockade_testkit::search_index_conformance!(memory_search, InMemory);

stockade_testkit::index_writer_conformance!(directory_writer, InDirectory);
stockade_testkit::index_concurrency_conformance!(directory_concurrency, InDirectory);
stockade_testkit::index_reopen_conformance!(directory_kept, InDirectory);
stockade_testkit::search_index_conformance!(directory_search, InDirectory);
