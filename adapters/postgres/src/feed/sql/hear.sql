INSERT INTO {schema}.members (group_name, member, topics, heard_at)
VALUES ($1, $2, $3, clock_timestamp())
ON CONFLICT (group_name, member) DO UPDATE SET heard_at = excluded.heard_at
RETURNING xmax = 0
