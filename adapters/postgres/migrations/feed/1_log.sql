-- A log: topics, their records, and how far groups of readers are. Names are compared by bytes.

CREATE TABLE topics (
    -- A topic that is deleted and created anew is another one.
    topic_id BIGINT GENERATED ALWAYS AS IDENTITY,
    name TEXT COLLATE "C" NOT NULL,
    CONSTRAINT topics_pkey PRIMARY KEY (topic_id),
    CONSTRAINT topics_name_key UNIQUE (name)
);

-- Locked by who appends, until the end of the transaction: so offsets appear in their order.
CREATE TABLE partitions (
    topic_id BIGINT NOT NULL,
    partition INTEGER NOT NULL,
    -- The offset of the oldest record that is kept, and of the next one.
    first BIGINT NOT NULL DEFAULT 0,
    next BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT partitions_pkey PRIMARY KEY (topic_id, partition),
    CONSTRAINT partitions_topic_id_fkey FOREIGN KEY (topic_id) REFERENCES topics ON DELETE CASCADE,
    CONSTRAINT partitions_offsets_check CHECK (first BETWEEN 0 AND next)
) WITH (fillfactor = 50);

CREATE TABLE records (
    topic_id BIGINT NOT NULL,
    partition INTEGER NOT NULL,
    "offset" BIGINT NOT NULL,
    published_at TIMESTAMPTZ NOT NULL,
    key BYTEA,
    value BYTEA,
    -- Each name and value, with its length in 4 bytes before it.
    headers BYTEA,
    -- Of key, value and headers together.
    bytes BIGINT NOT NULL,
    CONSTRAINT records_pkey PRIMARY KEY (topic_id, partition, "offset")
);

CREATE TABLE groups (
    name TEXT COLLATE "C" NOT NULL,
    -- Rises whenever members should look again who owns which partition.
    version BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT groups_pkey PRIMARY KEY (name)
) WITH (fillfactor = 50);

CREATE SEQUENCE members_seq AS BIGINT;
CREATE TABLE members (
    group_name TEXT COLLATE "C" NOT NULL,
    member BIGINT NOT NULL,
    topics TEXT[] NOT NULL,
    heard_at TIMESTAMPTZ NOT NULL,
    CONSTRAINT members_pkey PRIMARY KEY (group_name, member),
    CONSTRAINT members_group_name_fkey FOREIGN KEY (group_name) REFERENCES groups ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE progress (
    group_name TEXT COLLATE "C" NOT NULL,
    topic TEXT COLLATE "C" NOT NULL,
    partition INTEGER NOT NULL,
    topic_id BIGINT NOT NULL,
    -- The first offset that is not finished; none where nothing is, and reading starts with the
    -- oldest record.
    next BIGINT,
    -- The member that reads the partition, and how often the partition was assigned: a commit has
    -- to name both.
    owner BIGINT,
    generation BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT progress_pkey PRIMARY KEY (group_name, topic, partition),
    CONSTRAINT progress_group_name_fkey FOREIGN KEY (group_name) REFERENCES groups ON DELETE CASCADE
) WITH (fillfactor = 50);

-- What was taken from replication slots.
CREATE TABLE captures (
    slot TEXT COLLATE "C" NOT NULL,
    -- Transactions that were committed up to here are in the log. It is the truth: a slot may fall
    -- back in a crash of the server.
    commit_lsn BIGINT NOT NULL,
    -- Until the rows that were there before the slot are in the log.
    snapshot_due BOOLEAN NOT NULL,
    CONSTRAINT captures_pkey PRIMARY KEY (slot)
) WITH (fillfactor = 50);
