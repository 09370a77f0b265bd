-- What some runs read, for system.access.model_lineage. Most rows are of statements, which have no run.
CREATE INDEX lineage_by_run ON lineage (run_id) WHERE run_id IS NOT NULL;
