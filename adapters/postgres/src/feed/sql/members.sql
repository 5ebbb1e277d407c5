SELECT member, topics FROM {schema}.members WHERE group_name = $1 ORDER BY member
