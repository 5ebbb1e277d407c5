-- Waits for calls that are under way, and keeps others waiting until the transaction ends.
LOCK TABLE {schema}.levels IN EXCLUSIVE MODE;
INSERT INTO {schema}.epochs (epoch) SELECT max(epoch) + 1 FROM {schema}.epochs;
UPDATE {schema}.levels
SET epoch = (SELECT max(epoch) FROM {schema}.epochs), unpublished = true;
