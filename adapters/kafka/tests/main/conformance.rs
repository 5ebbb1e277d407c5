use crate::harness::Kafka;

type Newest = Kafka<true>;
type Classic = Kafka<false>;

stockade_testkit::publisher_conformance!(publisher, Newest);
stockade_testkit::feed_conformance!(newest, Newest);
stockade_testkit::feed_conformance!(classic, Classic);
stockade_testkit::feed_reopen_conformance!(newest_reopened, Newest);
stockade_testkit::feed_reopen_conformance!(classic_reopened, Classic);
