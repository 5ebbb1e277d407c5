//! The suites for inventory: stores that keep the rules pass, and each flawed store fails in the
//! case that names its rule.

mod crashes;
mod flaws;
mod harness;
mod outbox;
mod retention;
mod rows;
mod sources;
mod store;
mod timers;

use harness::{Built, InSmallSteps, WithMargin};
use sources::Source;

use crate::harnesses::Memory;

stockade_testkit::inventory_store_conformance!(memory_store, Memory);
stockade_testkit::stock_outbox_conformance!(memory_outbox, Memory);
stockade_testkit::stock_epoch_conformance!(memory_epoch, Memory);
stockade_testkit::stock_retention_conformance!(memory_retention, Memory);
stockade_testkit::reservation_timer_conformance!(memory_timer, Memory);
stockade_testkit::stock_source_conformance!(memory_source, Source);

stockade_testkit::inventory_store_conformance!(built_store, Built);
stockade_testkit::inventory_reopen_conformance!(built_reopening, Built);
stockade_testkit::inventory_shared_conformance!(built_shared, Built);
stockade_testkit::inventory_damage_conformance!(built_damage, Built);
stockade_testkit::stock_outbox_conformance!(built_outbox, Built);
stockade_testkit::stock_outbox_reopen_conformance!(built_outbox_reopening, Built);
stockade_testkit::stock_epoch_conformance!(built_epoch, Built);
stockade_testkit::stock_epoch_reopen_conformance!(built_epoch_reopening, Built);
stockade_testkit::stock_retention_conformance!(built_retention, Built);
stockade_testkit::stock_retention_reopen_conformance!(built_retention_reopening, Built);

stockade_testkit::stock_retention_conformance!(small_steps_retention, InSmallSteps);
stockade_testkit::inventory_damage_conformance!(small_steps_damage, InSmallSteps);
stockade_testkit::stock_outbox_conformance!(margin_outbox, WithMargin);
