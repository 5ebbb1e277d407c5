//! The suites, by either protocol, on one broker and on three.

use crate::harness::{Classic, ClassicOnThree, Newest, NewestOnThree, OnKafka};

stockade_testkit::publisher_conformance!(publisher, OnKafka<Newest>);
stockade_testkit::publisher_conformance!(publisher_on_three, OnKafka<NewestOnThree>);
#[cfg(feature = "rskafka")]
stockade_testkit::publisher_conformance!(publisher_of_rskafka, crate::harness::ThroughRskafka);
stockade_testkit::publisher_topics_conformance!(publisher_topics, OnKafka<Newest>);
#[cfg(feature = "rskafka")]
stockade_testkit::publisher_topics_conformance!(
    publisher_topics_of_rskafka,
    crate::harness::ThroughRskafka
);

stockade_testkit::feed_topics_conformance!(newest_topics, OnKafka<Newest>);
stockade_testkit::feed_conformance!(newest, OnKafka<Newest>);
stockade_testkit::feed_conformance!(classic, OnKafka<Classic>);
stockade_testkit::feed_conformance!(newest_on_three, OnKafka<NewestOnThree>);
stockade_testkit::feed_conformance!(classic_on_three, OnKafka<ClassicOnThree>);

stockade_testkit::feed_reopen_conformance!(newest_reopened, OnKafka<Newest>);
stockade_testkit::feed_reopen_conformance!(classic_reopened, OnKafka<Classic>);

stockade_testkit::feed_retention_conformance!(newest_retention, OnKafka<Newest>);
stockade_testkit::feed_retention_conformance!(classic_retention, OnKafka<Classic>);
