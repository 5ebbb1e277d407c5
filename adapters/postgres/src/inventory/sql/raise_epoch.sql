-- Waits for calls that are under way, and keeps others waiting until the transaction ends; then
-- takes the time that it takes.
LOCK TABLE {schema}.levels IN EXCLUSIVE MODE;
SET LOCAL statement_timeout = 0;
INSERT INTO {schema}.epochs (epoch) SELECT max(epoch) + 1 FROM {schema}.epochs;
UPDATE {schema}.levels
SET epoch = (SELECT max(epoch) FROM {schema}.epochs), unpublished = true;
