-- Registered models: securables of the kind registered_model, with versions, aliases and tags. Times are microseconds.

CREATE TABLE registered_model (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    last_version BIGINT NOT NULL        -- the greatest number given out: none is given twice
);

CREATE TABLE registered_model_tag (
    model TEXT NOT NULL REFERENCES registered_model (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) KEYED;

-- Its files are those of `artifact` with the root versions/<model>/<version>.
CREATE TABLE model_version (
    model TEXT NOT NULL REFERENCES registered_model (id) ON DELETE CASCADE,
    version BIGINT NOT NULL,
    status TEXT NOT NULL,               -- PENDING_REGISTRATION | READY | FAILED_REGISTRATION
    status_message TEXT,
    stage TEXT NOT NULL,                -- None | Staging | Production | Archived, of old clients
    source TEXT NOT NULL,               -- as the client says
    location TEXT,                      -- where old clients find its files; NULL: they are the version's own
    run_id TEXT,                        -- as the client says
    run_link TEXT,
    model_id TEXT,                      -- the logged model that it was made of
    comment TEXT,
    signature TEXT,                     -- {"inputs": [...], "outputs": [...]} as its MLmodel says
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    updated_by TEXT NOT NULL,
    PRIMARY KEY (model, version)
) KEYED;
CREATE INDEX model_version_by_run ON model_version (run_id);
CREATE INDEX model_version_by_time ON model_version (updated_at);

CREATE TABLE model_version_tag (
    model TEXT NOT NULL,
    version BIGINT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, version, key),
    FOREIGN KEY (model, version) REFERENCES model_version (model, version) ON DELETE CASCADE
) KEYED;

CREATE TABLE model_alias (
    model TEXT NOT NULL,
    alias TEXT NOT NULL,                -- upper and lower case differ
    version BIGINT NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_version (model, version) ON DELETE CASCADE
) KEYED;
CREATE INDEX model_alias_by_version ON model_alias (model, version);

-- Every move of an alias, in their order. What it points at is what its last move says.
CREATE TABLE model_alias_move (
    seq ROWID_KEY,
    model TEXT NOT NULL REFERENCES registered_model (id) ON DELETE CASCADE,
    alias TEXT NOT NULL,
    version BIGINT,                     -- NULL: taken away
    previous BIGINT,                    -- NULL: it pointed at nothing
    moved_at BIGINT NOT NULL,
    moved_by TEXT NOT NULL,
    reason TEXT
);
CREATE INDEX model_alias_move_by_alias ON model_alias_move (model, alias, seq);
