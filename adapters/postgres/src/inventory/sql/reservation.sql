SELECT {reservation} FROM {schema}.reservations AS r WHERE r.id = $1
