-- What catalogs, schemas, tables and volumes have besides a name and an owner.

-- Properties of catalogs and schemas, and the folder that they keep managed data in when it is not the server's own.
CREATE TABLE container (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    properties TEXT NOT NULL,           -- a JSON object of texts
    storage_root TEXT
);

-- Tables and views. The Delta log is the truth for columns and properties; what stands here of them is a copy, stamped
-- with the version of the table that it was taken from.
CREATE TABLE table_info (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    table_type TEXT NOT NULL,           -- MANAGED | EXTERNAL | VIEW
    format TEXT,                        -- DELTA; NULL for views
    location TEXT,                      -- NULL for views
    columns TEXT NOT NULL,              -- Delta's schema JSON
    partition_columns TEXT NOT NULL,    -- a JSON list of names
    properties TEXT NOT NULL,           -- a JSON object of texts
    table_version BIGINT,               -- the version that the copy was taken from
    view_text TEXT,
    view_catalog TEXT,                  -- what short names in the view's text are completed with
    view_schema TEXT
);

CREATE TABLE volume_info (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    volume_type TEXT NOT NULL,          -- MANAGED | EXTERNAL
    location TEXT NOT NULL
);

-- Every location that belongs to a securable, with a slash at the end. No two overlap, so the neighbour before a new one
-- is the only one that can contain it.
CREATE TABLE location_index (
    path TEXT PRIMARY KEY,
    securable TEXT NOT NULL REFERENCES securable (id) ON DELETE CASCADE
);
CREATE INDEX location_by_securable ON location_index (securable);

-- What spans the database and files, while it is under way: found at start, it is undone or finished.
CREATE TABLE intent (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,                 -- create_files | delete_files
    location TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
