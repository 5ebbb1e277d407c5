-- One purge after the other; nobody else waits for it.
SELECT pg_advisory_xact_lock(hashtextextended('stockade purge {schema}', 0))
