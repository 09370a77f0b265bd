-- What flowed from where to where: what statements and runs read, and what tables, views and versions of models were made
-- of. system.access.table_lineage and system.access.model_lineage. Times are microseconds.
CREATE TABLE lineage (
    record_id TEXT PRIMARY KEY,         -- the hash of what the row says: the same is not written twice
    event_id TEXT NOT NULL,             -- of all rows of one statement or request
    event_time BIGINT NOT NULL,
    principal BIGINT NOT NULL,          -- a principal that may be gone
    principal_name TEXT NOT NULL,
    statement_id TEXT,
    experiment TEXT,                    -- the securable of the run's, or the logged model's, experiment; it may be gone
    run_id TEXT,                        -- the run that read, or that made the version
    model_id TEXT,                      -- the logged model that the version is of
    context TEXT,                       -- what the run used it for, as it says
    source TEXT,                        -- a securable, which may be gone; NULL: nothing that is governed was read
    source_type TEXT,                   -- TABLE | VIEW | PATH
    source_name TEXT,                   -- its full name then; of a path, that of its volume
    source_path TEXT,                   -- of files of a volume
    source_version BIGINT,              -- of a table, as the run says
    target TEXT,                        -- a securable, which may be gone; NULL: nothing that is governed was written
    target_type TEXT,                   -- TABLE | VIEW | MODEL_VERSION
    target_name TEXT,                   -- its full name then
    target_version BIGINT               -- of a model
);
CREATE INDEX lineage_by_time ON lineage (event_time);
CREATE INDEX lineage_by_source ON lineage (source);
CREATE INDEX lineage_by_target ON lineage (target);
