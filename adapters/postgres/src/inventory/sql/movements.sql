-- At most $4 movements of the SKU $1 after number $3 at location $2.
SELECT {movement}
FROM {schema}.movements AS m
WHERE m.sku = $1 AND (m.location, m.number) > ($2, $3)
ORDER BY m.location, m.number
LIMIT $4
