-- Models that runs log (MLflow 3). Times are milliseconds.

CREATE TABLE logged_model (
    seq ROWID_KEY,
    model_id TEXT NOT NULL,             -- m-<32 hexadecimal digits>
    experiment BIGINT NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
    name TEXT NOT NULL,                 -- several may have the same
    model_type TEXT NOT NULL,           -- empty where the client says none
    source_run TEXT NOT NULL,           -- a run's id, as the client says; empty for none
    status TEXT NOT NULL,               -- PENDING | READY | FAILED | UNSPECIFIED
    status_message TEXT,
    lifecycle TEXT NOT NULL,            -- active | deleted
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX logged_model_by_id ON logged_model (model_id);
-- The order that they are shown in where nobody asks for another.
CREATE INDEX logged_model_by_time ON logged_model (experiment, lifecycle, created_ms DESC NULLS_LAST, model_id);

CREATE TABLE logged_model_param (
    model BIGINT NOT NULL REFERENCES logged_model (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) KEYED;

CREATE TABLE logged_model_tag (
    model BIGINT NOT NULL REFERENCES logged_model (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, key)
) KEYED;

-- What runs measured of a model. The same point logged twice is one.
CREATE TABLE logged_model_metric (
    model BIGINT NOT NULL REFERENCES logged_model (seq) ON DELETE CASCADE,
    key TEXT NOT NULL,
    time_ms BIGINT NOT NULL,
    step BIGINT NOT NULL,
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    dataset_name TEXT NOT NULL,         -- empty for none
    dataset_digest TEXT NOT NULL,       -- empty for none
    value DOUBLE NOT NULL,              -- infinities as the largest doubles, NaN as 0
    nan BIGINT NOT NULL,
    PRIMARY KEY (model, key, time_ms, step, run, dataset_name, dataset_digest, value, nan)
) KEYED;
CREATE INDEX logged_model_metric_by_run ON logged_model_metric (run);

-- Models that runs used and made.
CREATE TABLE run_model (
    run BIGINT NOT NULL REFERENCES run (seq) ON DELETE CASCADE,
    output BIGINT NOT NULL,             -- 1: the run made it; 0: it used it
    model BIGINT NOT NULL REFERENCES logged_model (seq) ON DELETE CASCADE,
    step BIGINT NOT NULL,               -- at which it was made
    PRIMARY KEY (run, output, model)
) KEYED;
CREATE INDEX run_model_by_model ON run_model (model);

-- Runs that are to be purged, in the order in which they were deleted.
CREATE INDEX run_by_deletion ON run (deleted_ms) WHERE deleted_ms IS NOT NULL;
