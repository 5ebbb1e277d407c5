SELECT version FROM {schema}.groups WHERE name = $1 FOR UPDATE
