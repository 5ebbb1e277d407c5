INSERT INTO {schema}.groups (name) VALUES ($1) ON CONFLICT (name) DO NOTHING
