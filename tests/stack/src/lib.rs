//! Real servers for tests, trials and benchmarks.
