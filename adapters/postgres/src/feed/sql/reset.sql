UPDATE {schema}.progress AS g SET next = given.next, topic_id = given.topic_id
FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS given (topic, partition, topic_id, generation, next)
WHERE g.group_name = $1 AND g.owner = $2 AND g.topic = given.topic
    AND g.partition = given.partition AND g.generation = given.generation
