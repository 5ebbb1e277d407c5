UPDATE {schema}.groups SET generation = generation + 1 WHERE name = $1 RETURNING generation
