-- Replaces at most $2 movements from $1 ago by the opening balances of their levels. Returns how
-- many, and how many of at most $2 are old: fewer than $2, and none is left.
WITH old AS MATERIALIZED (
    SELECT sku, location, number, physical, reserved, escrowed
    FROM {schema}.movements
    WHERE cause <> 'opening_balance' AND moved_at <= statement_timestamp() - $1::interval
    ORDER BY moved_at
    LIMIT $2
), ranked AS (
    SELECT old.*,
        row_number() OVER (PARTITION BY old.sku, old.location ORDER BY old.number) AS place,
        (
            SELECT m.number FROM {schema}.movements AS m
            WHERE m.sku = old.sku AND m.location = old.location
                AND m.cause <> 'opening_balance'
            ORDER BY m.number LIMIT 1
        ) AS first
    FROM old
), gone AS (
    -- Numbers rise by one, so this ends before the first that stays, whatever its time is.
    SELECT * FROM ranked WHERE number = first + place - 1
), opening AS (
    SELECT sku, location, max(number) AS number, count(*) AS movements,
        sum(physical)::bigint AS physical, sum(reserved)::bigint AS reserved,
        sum(escrowed)::bigint AS escrowed
    FROM gone GROUP BY sku, location
), written AS (
    UPDATE {schema}.movements AS m
    SET cause = 'opening_balance', cause_id = '', asked = NULL,
        physical = o.physical + coalesce(before.physical, 0),
        reserved = o.reserved + coalesce(before.reserved, 0),
        escrowed = o.escrowed + coalesce(before.escrowed, 0)
    FROM opening AS o
    LEFT JOIN {schema}.movements AS before
        ON before.sku = o.sku AND before.location = o.location
            AND before.number < o.number AND before.cause = 'opening_balance'
    WHERE m.sku = o.sku AND m.location = o.location AND m.number = o.number
), removed AS (
    DELETE FROM {schema}.movements AS m
    USING opening AS o
    WHERE m.sku = o.sku AND m.location = o.location AND m.number < o.number
)
SELECT coalesce(sum(movements), 0)::bigint, (SELECT count(*) FROM old) FROM opening
