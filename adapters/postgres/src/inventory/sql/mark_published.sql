-- Marks the SKUs $1 as published up to the epochs $2 and numbers $3. A row that is locked is about
-- to change, and is published again anyway; so nobody waits for anybody. Only a SKU of which all
-- rows are held here, and whose version is not newer, is marked.
WITH marks AS (
    SELECT DISTINCT ON (sku) sku, epoch, number
    FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS m (sku, epoch, number)
    ORDER BY sku, epoch DESC, number DESC
), locked AS MATERIALIZED (
    SELECT l.sku, l.location, l.epoch, l.number
    FROM {schema}.levels AS l
    WHERE l.sku = ANY ($1)
    ORDER BY l.sku, l.location
    FOR UPDATE SKIP LOCKED
), published AS (
    SELECT locked.sku
    FROM locked JOIN marks USING (sku)
    GROUP BY locked.sku, marks.epoch, marks.number
    HAVING (max(locked.epoch), sum(locked.number)) <= (marks.epoch, marks.number::numeric)
        AND count(*) = (SELECT count(*) FROM {schema}.levels AS l WHERE l.sku = locked.sku)
)
UPDATE {schema}.levels AS l
SET unpublished = false
FROM locked
WHERE l.unpublished
    AND locked.sku IN (SELECT sku FROM published)
    AND l.sku = locked.sku AND l.location = locked.location AND l.number = locked.number
