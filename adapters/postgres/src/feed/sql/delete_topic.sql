WITH gone AS (
    DELETE FROM {schema}.topics WHERE name = $1 RETURNING topic_id
)
DELETE FROM {schema}.records WHERE topic_id IN (SELECT topic_id FROM gone)
