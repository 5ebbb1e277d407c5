//! What Kafka accepts, forgets or answers where one would not expect it: each with the measure
//! against it.

mod commits;
mod deadlines;
mod forgotten;
mod groups;
mod transactions;
