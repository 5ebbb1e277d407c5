-- Stock and reservations. Names are compared by their bytes.

-- What a column allows is said by its type where it can be: the server reads a constraint of a table
-- anew for each statement, and of a type once.
CREATE DOMAIN sku AS TEXT COLLATE "C" CHECK (octet_length(VALUE) BETWEEN 1 AND 128);
CREATE DOMAIN location AS TEXT COLLATE "C" CHECK (octet_length(VALUE) BETWEEN 1 AND 64);
CREATE DOMAIN units AS BIGINT CHECK (VALUE BETWEEN 0 AND 9007199254740991);
CREATE DOMAIN version_epoch AS BIGINT CHECK (VALUE BETWEEN 0 AND 4294967295);
CREATE DOMAIN version_number AS BIGINT CHECK (VALUE >= 0);
CREATE DOMAIN reservation_state AS TEXT CHECK (
    VALUE IN ('held', 'confirmed', 'fulfilled', 'released', 'expired', 'cancelled')
);
CREATE DOMAIN reservation_lines AS JSONB CHECK (jsonb_typeof(VALUE) = 'array');
CREATE DOMAIN movement_cause AS TEXT CHECK (
    VALUE IN (
        'reserved', 'released', 'expired', 'cancelled', 'fulfilled', 'adjusted', 'opening_balance'
    )
);
CREATE DOMAIN stock_change AS TEXT CHECK (VALUE IN ('receive', 'correct', 'set'));
CREATE TYPE adjustment AS (change stock_change, amount BIGINT, reason TEXT);
-- Whole, or not there.
CREATE DOMAIN movement_adjustment AS adjustment CHECK (VALUE IS NOT NULL OR VALUE IS NULL);

-- How often an operator has said that versions may have run backwards.
CREATE TABLE epochs (
    epoch version_epoch PRIMARY KEY,
    raised_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp()
);
INSERT INTO epochs (epoch) VALUES (0);

-- One row for each SKU at each location; never deleted. Room on the pages, so that the updates of
-- a hot row stay on its page and touch no index.
CREATE TABLE levels (
    sku sku NOT NULL,
    location location NOT NULL,
    physical units NOT NULL,
    reserved units NOT NULL,
    escrowed units NOT NULL,
    epoch version_epoch NOT NULL,
    number version_number NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    -- The outbox: whether this state is still to be published.
    unpublished BOOLEAN NOT NULL DEFAULT true,
    CONSTRAINT levels_pkey PRIMARY KEY (sku, location),
    CONSTRAINT levels_promised_check CHECK (reserved + escrowed <= physical)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, vacuum_truncate = off);
CREATE INDEX levels_unpublished_idx ON levels (sku) WHERE unpublished;

CREATE TABLE reservations (
    id TEXT COLLATE "C" NOT NULL,
    owner TEXT COLLATE "C" NOT NULL,
    state reservation_state NOT NULL,
    deadline TIMESTAMPTZ NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL,
    -- What it holds: [{"sku": "tee", "location": "main", "quantity": 2}]
    lines reservation_lines NOT NULL,
    CONSTRAINT reservations_pkey PRIMARY KEY (id)
) WITH (fillfactor = 85, vacuum_truncate = off);
-- The overdue are found here, and nowhere else.
CREATE INDEX reservations_deadline_idx ON reservations (deadline, id) WHERE state = 'held';
-- And those that are long over.
CREATE INDEX reservations_finished_idx ON reservations (changed_at)
    WHERE state IN ('fulfilled', 'released', 'expired', 'cancelled');

-- Every change of a level. Those of a level add up to its counts.
CREATE TABLE movements (
    sku TEXT COLLATE "C" NOT NULL,
    location TEXT COLLATE "C" NOT NULL,
    -- The version that the level has since.
    number BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    moved_at TIMESTAMPTZ NOT NULL,
    physical BIGINT NOT NULL,
    reserved BIGINT NOT NULL,
    escrowed BIGINT NOT NULL,
    cause movement_cause NOT NULL,
    -- Of the reservation, or of the operation where the cause is 'adjusted'; empty for an opening
    -- balance.
    cause_id TEXT COLLATE "C" NOT NULL,
    -- What an adjustment asked for, by how much, and why.
    asked movement_adjustment,
    CONSTRAINT movements_pkey PRIMARY KEY (sku, location, number)
) WITH (vacuum_truncate = off);
CREATE UNIQUE INDEX movements_operation_key ON movements (cause_id) WHERE cause = 'adjusted';
-- The oldest are found here, to be put behind opening balances.
CREATE INDEX movements_moved_at_idx ON movements (moved_at) WHERE cause <> 'opening_balance';

-- Plans are made once, and a small table is best read whole: so a plan of the first day would read
-- all of a table that a sale has filled since. With this many pages from the start, which are
-- filled later, an index is always best.
INSERT INTO levels (sku, location, physical, reserved, escrowed, epoch, number, changed_at)
SELECT lpad(n::text, 128), lpad('', 64), 0, 0, 0, 0, 0, now() FROM generate_series(1, 1000) AS n;
INSERT INTO reservations (id, owner, state, deadline, created_at, changed_at, lines)
SELECT lpad(n::text, 128), lpad('', 1500), 'expired', now(), now(), now(), '[]'
FROM generate_series(1, 256) AS n;
INSERT INTO movements (
    sku, location, number, epoch, moved_at, physical, reserved, escrowed, cause, cause_id
)
SELECT lpad(n::text, 128), '', 0, 0, now(), 0, 0, 0, 'expired', lpad('', 1500)
FROM generate_series(1, 256) AS n;
DELETE FROM levels;
DELETE FROM reservations;
DELETE FROM movements;
