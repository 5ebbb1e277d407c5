-- Removes at most $2 reservations that were over $1 ago.
DELETE FROM {schema}.reservations
WHERE id IN (
    SELECT id FROM {schema}.reservations
    WHERE state IN ('fulfilled', 'released', 'expired', 'cancelled')
        AND changed_at <= statement_timestamp() - $1::interval
    ORDER BY changed_at
    LIMIT $2
    FOR UPDATE SKIP LOCKED
)
