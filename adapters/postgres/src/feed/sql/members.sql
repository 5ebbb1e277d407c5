SELECT (extract(epoch FROM clock.now) * 1000000)::bigint, m.member, m.topics,
    (extract(epoch FROM m.heard_at) * 1000000)::bigint
FROM (SELECT clock_timestamp() AS now) AS clock
LEFT JOIN {schema}.members AS m ON m.group_name = $1
