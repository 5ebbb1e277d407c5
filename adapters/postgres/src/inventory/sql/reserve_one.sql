-- Grants one line: $1 id, $2 owner, $3 SKU, $4 location or null, $5 units, $6 time to live,
-- $7 milliseconds to wait for the lock, $8 trace or null. No row where this way does not lead to a grant: where the
-- id is known, the SKU has several locations and none is named, or the stock is short. Which of
-- them it is, a later snapshot has to tell: this one was taken before the wait for the lock.
WITH level AS (
    UPDATE {schema}.levels AS l
    SET reserved = l.reserved + $5, number = l.number + 1,
        changed_at = clock_timestamp(), unpublished = true, trace = $8
    -- Asked once, before anything is looked for. Who wants the same row stands in one queue, where
    -- each is woken once and in its turn; at the row itself, again and again and in any order.
    WHERE (
            SELECT set_config('lock_timeout', $7, true) IS NOT NULL AND pg_advisory_xact_lock(
                hashtextextended($3, coalesce(hashtext($4), 0))
            ) IS NOT NULL
        )
        AND l.sku = $3
        AND ($4::text IS NULL OR l.location = $4)
        AND l.physical - l.reserved - l.escrowed >= $5
        AND ($4::text IS NOT NULL OR NOT EXISTS (
            SELECT FROM {schema}.levels AS other
            WHERE other.sku = $3 AND other.location <> l.location
        ))
        AND NOT EXISTS (SELECT FROM {schema}.reservations AS r WHERE r.id = $1)
    -- The clock is read again for a row that was changed while it was waited for, but not for one
    -- that was only locked; then the wait counts for a tenth of a second at most.
    RETURNING l.location, l.number, l.epoch,
        greatest(l.changed_at, clock_timestamp() - interval '100 milliseconds') AS moved_at
), movement AS (
    INSERT INTO {schema}.movements (
        sku, location, number, epoch, moved_at, physical, reserved, escrowed, cause, cause_id
    )
    SELECT $3, location, number, epoch, moved_at, 0, $5, 0, 'reserved', $1 FROM level
)
INSERT INTO {schema}.reservations (id, owner, state, deadline, created_at, changed_at, lines)
SELECT $1, $2, 'held', moved_at + $6::interval, moved_at, moved_at,
    jsonb_build_array(jsonb_build_object('sku', $3, 'location', location, 'quantity', $5))
FROM level
RETURNING lines->0->>'location' AS location, deadline, created_at
