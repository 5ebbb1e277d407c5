-- Products, their variants and their types. Names are compared by their bytes.

-- Rows carry a number of this sequence, drawn while the product's row in product_ids is locked.
-- So the versions of a row rise in the order in which they are committed.
CREATE SEQUENCE versions AS BIGINT;

CREATE TABLE product_types (
    name TEXT COLLATE "C" NOT NULL,
    schema JSONB NOT NULL,
    variant_schema JSONB NOT NULL,
    CONSTRAINT product_types_pkey PRIMARY KEY (name)
);

-- Every product that ever was: what is locked while one changes. Never deleted.
CREATE TABLE product_ids (
    product_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT product_ids_pkey PRIMARY KEY (product_id)
);

-- Whose each SKU is that was ever used. Never deleted, so that no SKU is used for another product.
CREATE TABLE skus (
    sku TEXT COLLATE "C" NOT NULL,
    product_id TEXT COLLATE "C" NOT NULL,
    CONSTRAINT skus_pkey PRIMARY KEY (sku)
);

CREATE TABLE products (
    product_id TEXT COLLATE "C" NOT NULL,
    slug TEXT COLLATE "C" NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    brand TEXT,
    category JSONB NOT NULL,
    product_type TEXT COLLATE "C" NOT NULL,
    status TEXT NOT NULL,
    media JSONB NOT NULL,
    attributes JSONB NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT products_pkey PRIMARY KEY (product_id),
    -- Compared at the end of a statement, so that several products may pass slugs on in one.
    CONSTRAINT products_slug_key UNIQUE (slug) DEFERRABLE INITIALLY IMMEDIATE,
    CONSTRAINT products_product_type_fkey FOREIGN KEY (product_type) REFERENCES product_types,
    CONSTRAINT products_status_check CHECK (status IN ('draft', 'active', 'archived')),
    CONSTRAINT products_category_check CHECK (jsonb_typeof(category) = 'array'),
    CONSTRAINT products_media_check CHECK (jsonb_typeof(media) = 'array'),
    CONSTRAINT products_attributes_check CHECK (jsonb_typeof(attributes) = 'object'),
    CONSTRAINT products_version_check CHECK (version > 0)
);
-- Without a list of what is still to be inserted: it is read by every query, and while it is long
-- the planner would rather read the table.
CREATE INDEX products_attributes_idx ON products USING gin (attributes jsonb_path_ops)
    WITH (fastupdate = off);
CREATE INDEX products_product_type_idx ON products (product_type, product_id);

CREATE TABLE variants (
    sku TEXT COLLATE "C" NOT NULL,
    product_id TEXT COLLATE "C" NOT NULL,
    position INTEGER NOT NULL,
    name TEXT,
    options JSONB NOT NULL,
    price_minor BIGINT,
    currency TEXT,
    attributes JSONB NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT variants_pkey PRIMARY KEY (sku),
    CONSTRAINT variants_product_id_fkey FOREIGN KEY (product_id) REFERENCES products,
    CONSTRAINT variants_position_check CHECK (position >= 0),
    CONSTRAINT variants_price_check CHECK (
        num_nulls(price_minor, currency) IN (0, 2) AND price_minor BETWEEN 0 AND 9007199254740991
    ),
    CONSTRAINT variants_options_check CHECK (jsonb_typeof(options) = 'object'),
    CONSTRAINT variants_attributes_check CHECK (jsonb_typeof(attributes) = 'object'),
    CONSTRAINT variants_version_check CHECK (version > 0)
);
CREATE INDEX variants_product_id_idx ON variants (product_id);

-- Fit for change capture: old rows are told whole, unchanged values too.
ALTER TABLE products REPLICA IDENTITY FULL;
ALTER TABLE variants REPLICA IDENTITY FULL;

-- A publication is of the database, so it is named after the schema. One that is there already is
-- an operator's and stays as it is, and who may not create one can still keep products: what is
-- not published then, the capture tells.
DO $$
BEGIN
    EXECUTE format(
        'CREATE PUBLICATION %I FOR TABLE products, variants', current_schema() || '_changes'
    );
EXCEPTION WHEN insufficient_privilege OR duplicate_object THEN
    RAISE WARNING 'no publication was made of products and variants: %', SQLERRM;
END
$$;
