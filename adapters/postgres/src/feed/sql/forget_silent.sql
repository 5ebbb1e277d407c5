WITH silent AS (
    DELETE FROM {schema}.members
    WHERE group_name = $1 AND member IS DISTINCT FROM $2
        AND heard_at < clock_timestamp() - make_interval(secs => $3)
    RETURNING member
), freed AS (
    UPDATE {schema}.progress SET owner = NULL
    WHERE group_name = $1 AND owner IN (SELECT member FROM silent)
)
SELECT count(*) FROM silent
