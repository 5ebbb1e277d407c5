-- A truncation has no rows, and so no versions that tell whether a row came before it or after it. So
-- the rows are deleted first, each at its version, and followers hear of every one.
CREATE FUNCTION delete_before_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'products' THEN
        EXECUTE format('DELETE FROM %I.variants', TG_TABLE_SCHEMA);
    END IF;
    EXECUTE format('DELETE FROM %I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME);
    RETURN NULL;
END
$$;
CREATE TRIGGER products_truncate BEFORE TRUNCATE ON products
    EXECUTE FUNCTION delete_before_truncate();
CREATE TRIGGER variants_truncate BEFORE TRUNCATE ON variants
    EXECUTE FUNCTION delete_before_truncate();
