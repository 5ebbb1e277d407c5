SELECT nextval('{schema}.versions') FROM generate_series(1, $1::bigint)
