-- Everything that a call changed, in one statement: all of it or nothing. What is new is inserted,
-- and fails where somebody else was faster; what was there is locked.
WITH changed AS (
    SELECT * FROM UNNEST(
        $1::boolean[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[],
        $7::bigint[], $8::bigint[], $9::timestamptz[]
    ) AS c (fresh, sku, location, physical, reserved, escrowed, epoch, number, changed_at)
), level AS (
    UPDATE {schema}.levels AS l
    SET physical = c.physical, reserved = c.reserved, escrowed = c.escrowed, epoch = c.epoch,
        number = c.number, changed_at = c.changed_at, unpublished = true, trace = $31
    FROM changed AS c
    WHERE NOT c.fresh AND l.sku = c.sku AND l.location = c.location
    RETURNING 1
), fresh_level AS (
    INSERT INTO {schema}.levels (
        sku, location, physical, reserved, escrowed, epoch, number, changed_at, trace
    )
    SELECT sku, location, physical, reserved, escrowed, epoch, number, changed_at, $31
    FROM changed WHERE fresh ORDER BY sku COLLATE "C", location COLLATE "C"
    RETURNING 1
), settled AS (
    SELECT * FROM UNNEST(
        $10::boolean[], $11::text[], $12::text[], $13::text[], $14::timestamptz[],
        $15::timestamptz[], $16::timestamptz[], $17::text[]
    ) AS s (fresh, id, owner, state, deadline, created_at, changed_at, lines)
), reservation AS (
    UPDATE {schema}.reservations AS r
    SET state = s.state, deadline = s.deadline, changed_at = s.changed_at
    FROM settled AS s
    WHERE NOT s.fresh AND r.id = s.id
    RETURNING 1
), fresh_reservation AS (
    INSERT INTO {schema}.reservations (
        id, owner, state, deadline, created_at, changed_at, lines
    )
    SELECT id, owner, state, deadline, created_at, changed_at, lines::jsonb
    FROM settled WHERE fresh ORDER BY id COLLATE "C"
    RETURNING 1
), movement AS (
    INSERT INTO {schema}.movements (
        sku, location, number, epoch, moved_at, physical, reserved, escrowed, cause, cause_id,
        asked
    )
    SELECT sku, location, number, epoch, moved_at, physical, reserved, escrowed, cause, cause_id,
        CASE WHEN change IS NOT NULL THEN ROW (change, amount, reason)::{schema}.adjustment END
    FROM UNNEST(
        $18::text[], $19::text[], $20::bigint[], $21::bigint[], $22::timestamptz[],
        $23::bigint[], $24::bigint[], $25::bigint[], $26::text[], $27::text[],
        $28::text[], $29::bigint[], $30::text[]
    ) AS m (
        sku, location, number, epoch, moved_at, physical, reserved, escrowed, cause, cause_id,
        change, amount, reason
    )
    RETURNING 1
)
SELECT (SELECT count(*) FROM level) + (SELECT count(*) FROM fresh_level)
    + (SELECT count(*) FROM reservation) + (SELECT count(*) FROM fresh_reservation)
    + (SELECT count(*) FROM movement)
