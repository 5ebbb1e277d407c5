-- The trace of the request that made the last change of a level. The event of the change carries it:
-- 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01, or null.
ALTER TABLE levels ADD COLUMN trace TEXT;
