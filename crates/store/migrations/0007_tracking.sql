-- Experiments and what runs log. Times that clients give are milliseconds, as they gave them: theirs to read back.

-- The securable's own name is the id that clients use, in decimal.
CREATE TABLE experiment (
    securable TEXT PRIMARY KEY REFERENCES securable (id) ON DELETE CASCADE,
    id BIGINT NOT NULL,
    name TEXT NOT NULL,                 -- compared as it is: upper and lower case differ
    artifact_location TEXT,             -- NULL: the server's own storage
    lifecycle TEXT NOT NULL,            -- active | deleted
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX experiment_by_id ON experiment (id);
-- Of deleted experiments too: a name is free when its experiment was purged.
CREATE UNIQUE INDEX experiment_by_name ON experiment (name);

CREATE TABLE experiment_tag (
    experiment BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, key)
) KEYED;

CREATE TABLE run (
    seq ROWID_KEY,                      -- short, for the tables below: SQLite's rowid, PostgreSQL's identity
    run_id TEXT NOT NULL,
    experiment BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    user_id TEXT NOT NULL,              -- as the client says
    status TEXT NOT NULL,               -- RUNNING | SCHEDULED | FINISHED | FAILED | KILLED
    start_ms BIGINT,
    end_ms BIGINT,
    lifecycle TEXT NOT NULL,            -- active | deleted
    deleted_ms BIGINT,
    created_by BIGINT NOT NULL,         -- a principal that may be gone
    created_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX run_by_id ON run (run_id);
-- The order that runs are shown in where nobody asks for another.
CREATE INDEX run_by_start ON run (experiment, lifecycle, start_ms DESC NULLS_LAST, run_id);
CREATE INDEX run_by_name ON run (experiment, name);

CREATE TABLE run_param (
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) KEYED;

CREATE TABLE run_tag (
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, key)
) KEYED;

-- The last point of each metric of a run: greatest step, then time, then value.
CREATE TABLE metric_latest (
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    experiment BIGINT NOT NULL,         -- the run's, for the index
    value DOUBLE NOT NULL,              -- infinities as the largest doubles, NaN as 0
    nan BIGINT NOT NULL,
    step BIGINT NOT NULL,
    time_ms BIGINT NOT NULL,
    PRIMARY KEY (run, key)
) KEYED;
CREATE INDEX metric_latest_by_value ON metric_latest (experiment, key, nan, value);

-- Points as they came, those of a request a row. `model/points.rs` is the form.
CREATE TABLE metric_log (
    seq ROWID_KEY,
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    points BLOB NOT NULL
);
CREATE INDEX metric_log_by_run ON metric_log (run, seq);

-- Datasets of an experiment, and the runs that used them.
CREATE TABLE dataset (
    seq ROWID_KEY,
    experiment BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT,
    profile TEXT
);
CREATE UNIQUE INDEX dataset_by_name ON dataset (experiment, name, digest);

CREATE TABLE run_dataset (
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    dataset BIGINT NOT NULL REFERENCES dataset (seq) ON DELETE CASCADE,
    tags TEXT NOT NULL,                 -- a JSON object of texts; mlflow.data.context says what for
    context TEXT,                       -- that one of them
    PRIMARY KEY (run, dataset)
) KEYED;
CREATE INDEX run_dataset_by_dataset ON run_dataset (dataset);

-- Files of runs and models. Each content is kept once, under its hash.
CREATE TABLE artifact (
    root TEXT NOT NULL,                 -- what they belong to: runs/<run id>
    path TEXT NOT NULL,                 -- below it, parts joined by a slash
    hash TEXT NOT NULL,                 -- SHA-256 in hexadecimal
    size BIGINT NOT NULL,
    written_at BIGINT NOT NULL,
    PRIMARY KEY (root, path)
);
CREATE INDEX artifact_by_hash ON artifact (hash);
