-- Which tables statements wrote, and what the catalog must look at again after a crash.

-- system.query.history: a JSON list of {"table": name, "rows": number or null}
ALTER TABLE statement ADD COLUMN writes TEXT NOT NULL DEFAULT '[]';

-- When a process took an intent over from one that it believes dead: whoever made the intent may not close it any more.
ALTER TABLE intent ADD COLUMN claimed_at BIGINT;

-- Tables whose log may be ahead of table_info.table_version: a row is here before this program commits to the table.
CREATE TABLE log_watch (
    id TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    since BIGINT NOT NULL
);
