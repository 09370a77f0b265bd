-- Warehouses and statements.

CREATE TABLE warehouse (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                 -- what people call it; the securable's own name is the id that clients use
    size TEXT NOT NULL,
    running BIGINT NOT NULL,
    settings TEXT NOT NULL              -- a JSON object: what clients set and want back
);

-- system.query.history
CREATE TABLE statement (
    id TEXT PRIMARY KEY,
    principal BIGINT NOT NULL,
    principal_name TEXT NOT NULL,
    warehouse TEXT,
    text TEXT NOT NULL,
    kind TEXT,                          -- Query, Insert, Grant …; NULL when it could not be parsed
    status TEXT NOT NULL,               -- FINISHED | FAILED | CANCELED
    error TEXT,
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    rows_produced BIGINT,
    rows_written BIGINT,
    reads TEXT NOT NULL,                -- a JSON list of {"table": name, "columns": [name …]}
    source_ip TEXT,
    user_agent TEXT
);
CREATE INDEX statement_by_time ON statement (started_at);
