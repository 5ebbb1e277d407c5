WITH gone AS (
    DELETE FROM {schema}.members WHERE group_name = $1 AND member = $2
), freed AS (
    UPDATE {schema}.progress SET owner = NULL WHERE group_name = $1 AND owner = $2
)
UPDATE {schema}.groups SET generation = generation + 1 WHERE name = $1
