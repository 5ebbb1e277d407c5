SELECT generation FROM {schema}.groups WHERE name = $1 FOR UPDATE
