UPDATE {schema}.progress AS g SET owner = NULL
FROM unnest($3::text[], $4::int[]) AS given (topic, partition)
WHERE g.group_name = $1 AND g.owner = $2
    AND g.topic = given.topic AND g.partition = given.partition
