//! MLflow's database, in SQLite or PostgreSQL. Tables and columns that an older version has not are read as empty; one that lacks
//! what all have since 1.0 is refused with what to do.

mod models;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use crannog_store::query::{Expr, ExprTrait, Func, Order, Query, SelectStatement};
use crannog_store::{Foreign, ForeignRows, Row, StoreError};
use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::imports::{Experiment, Run, RunKey};
use crannog_tracking::model::runs::{DatasetInput, Metric};

use super::places::{Place, Places, location};
use super::report::Report;
use super::source::RUNS;
use crate::cli::Failure;

/// What is not taken over: a table, and what its rows are.
const LEFT_OUT: [(&str, &str); 11] = [
    ("trace_info", "traces"),
    ("assessments", "assessments of traces"),
    ("evaluation_datasets", "evaluation datasets"),
    ("scorers", "scorers"),
    ("webhooks", "webhooks"),
    ("endpoints", "gateway endpoints"),
    ("secrets", "gateway secrets"),
    ("label_schemas", "label schemas"),
    ("review_queues", "review queues"),
    ("issues", "issues"),
    ("mcp_servers", "MCP servers"),
];

/// What every MLflow since 1.0 has, and nothing can be taken over without: a table, and a column of it.
const NEEDED: [(&str, &str); 16] = [
    ("experiments", "experiment_id"),
    ("experiments", "name"),
    ("experiments", "artifact_location"),
    ("experiments", "lifecycle_stage"),
    ("runs", "run_uuid"),
    ("runs", "experiment_id"),
    ("runs", "artifact_uri"),
    ("runs", "lifecycle_stage"),
    ("metrics", "run_uuid"),
    ("metrics", "key"),
    ("metrics", "value"),
    ("metrics", "timestamp"),
    ("metrics", "step"),
    ("params", "run_uuid"),
    ("params", "key"),
    ("tags", "run_uuid"),
];

/// The workspace that everything is in where there are no others.
const WORKSPACE: &str = "default";

/// A database of MLflow.
pub(in crate::cli::import) struct Database {
    source: Foreign,
    /// What relative paths are below.
    pub(in crate::cli::import) folder: PathBuf,
    tables: HashMap<&'static str, BTreeSet<String>>,
}

/// Whether a file begins as SQLite's do; an empty one is a database without tables.
fn is_sqlite(path: &Path) -> Result<bool, Failure> {
    const MAGIC: &[u8] = b"SQLite format 3\0";
    let mut head = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head))
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))?;
    Ok(head.is_empty() || head == MAGIC)
}

impl Database {
    pub(in crate::cli::import) async fn open(source: &str) -> Result<Self, Failure> {
        let scheme = source.split_once("://").map(|(scheme, _)| scheme);
        let (mut opened, folder) = match scheme {
            // SQLAlchemy names its driver, too.
            Some(named) if named.starts_with("postgres") => {
                let rest = source.split_once("://").map_or("", |(_, rest)| rest);
                (Foreign::postgres(&format!("postgresql://{rest}")).await?, PathBuf::from("."))
            }
            Some("sqlite") | None => {
                let file = source.strip_prefix("sqlite:///").unwrap_or(source);
                let path = Path::new(file);
                if !path.is_file() {
                    return Err(Failure::new(format!(
                        "{file} is no file and no folder; the source is what MLflow keeps its runs in"
                    )));
                }
                if !is_sqlite(path)? {
                    return Err(Failure::new(format!(
                        "{file} is no database of SQLite; MLflow's is the file of its --backend-store-uri, mlflow.db by default"
                    )));
                }
                let folder = path.canonicalize()?.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
                (Foreign::sqlite(path).await?, folder)
            }
            Some("http" | "https") => {
                return Err(Failure::new(
                    "an MLflow server is not read over HTTP, but where it keeps its runs; the source is what it was started \
                     with as --backend-store-uri",
                ));
            }
            Some(other) => {
                return Err(Failure::new(format!(
                    "databases of {other} are not read; a SQLite file and postgresql://… are"
                )));
            }
        };
        if opened.columns("alembic_version").await?.is_empty() || opened.columns("runs").await?.is_empty() {
            return Err(Failure::new("the source has no tables of MLflow; is it its tracking database?"));
        }
        let mut database = Database { source: opened, folder, tables: HashMap::new() };
        for (table, column) in NEEDED {
            if !database.columns(table).await?.contains(column) {
                return Err(Failure::new(format!(
                    "the source has no column {table}.{column}, which databases of MLflow have since 1.0; if it is older, \
                     `mlflow db upgrade` of a newer MLflow, run on a copy of it, makes one that can be read"
                )));
            }
        }
        Ok(database)
    }

    /// The columns of a table; none when it is not there.
    async fn columns(&mut self, table: &'static str) -> Result<&BTreeSet<String>, Failure> {
        if !self.tables.contains_key(table) {
            let columns = self.source.columns(table).await?;
            self.tables.insert(table, columns);
        }
        Ok(self.tables.entry(table).or_default())
    }

    /// Whether there is a table.
    pub(in crate::cli::import) async fn has(&mut self, table: &'static str) -> Result<bool, Failure> {
        Ok(!self.columns(table).await?.is_empty())
    }

    /// Columns of a table, NULL for those that it has not; of the one workspace.
    pub(in crate::cli::import) async fn select(
        &mut self,
        table: &'static str,
        columns: &[&'static str],
    ) -> Result<SelectStatement, Failure> {
        let there = self.columns(table).await?;
        let mut select = Query::select();
        select.from(table);
        for column in columns {
            match there.contains(*column) {
                true => select.column(*column),
                false => select.expr(Expr::cust("NULL")),
            };
        }
        if there.contains("workspace") {
            select.and_where(Expr::col("workspace").eq(WORKSPACE));
        }
        Ok(select)
    }

    pub(in crate::cli::import) async fn rows(&mut self, select: &SelectStatement) -> Result<Vec<Row>, Failure> {
        Ok(self.source.rows(select).await?)
    }

    /// How many rows a table has.
    pub(in crate::cli::import) async fn count(&mut self, table: &'static str) -> Result<u64, Failure> {
        if !self.has(table).await? {
            return Ok(0);
        }
        let select = Query::select().expr(Func::count(Expr::val(1_i64))).from(table).to_owned();
        let rows = self.source.rows(&select).await?;
        Ok(rows.first().map(|row| row.int(0)).transpose()?.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// Every experiment, by id.
    pub(in crate::cli::import) async fn experiments(
        &mut self,
        places: &Places,
        report: &mut Report,
    ) -> Result<Vec<Experiment>, Failure> {
        let columns =
            ["experiment_id", "name", "artifact_location", "lifecycle_stage", "creation_time", "last_update_time"];
        let mut select = self.select("experiments", &columns).await?;
        select.order_by("experiment_id", Order::Asc);
        let mut found = Vec::new();
        for row in self.rows(&select).await? {
            let id = row.int(0)?;
            let created_ms = row.opt_int(4)?.unwrap_or_default();
            let address = row.opt_text(2)?.unwrap_or_default();
            if let Place::Unknown(why) = places.of(&address) {
                report.changed("experiments", &format!("files of their runs: {why}"), &id.to_string());
            }
            found.push(Experiment {
                id,
                name: row.text(1)?,
                artifact_location: location(id, &address),
                deleted: deleted(&row, 3)?,
                created_ms,
                updated_ms: row.opt_int(5)?.unwrap_or(created_ms),
                tags: Vec::new(),
            });
        }
        let mut tags: BTreeMap<i64, Vec<Tag>> = BTreeMap::new();
        if self.has("experiment_tags").await? {
            let select = self.select("experiment_tags", &["experiment_id", "key", "value"]).await?;
            for row in self.rows(&select).await? {
                tags.entry(row.int(0)?).or_default().push(pair(&row)?);
            }
        }
        for one in &mut found {
            one.tags = tags.remove(&one.id).unwrap_or_default();
        }
        Ok(found)
    }

    /// The next runs behind an id, without what they logged.
    pub(in crate::cli::import) async fn runs_behind(&mut self, last: Option<&str>) -> Result<Vec<Run>, Failure> {
        let columns = [
            "run_uuid",
            "experiment_id",
            "name",
            "user_id",
            "status",
            "start_time",
            "end_time",
            "lifecycle_stage",
            "deleted_time",
        ];
        let mut select = self.select("runs", &columns).await?;
        if let Some(last) = last {
            select.and_where(Expr::col("run_uuid").gt(last));
        }
        select.order_by("run_uuid", Order::Asc).limit(RUNS);
        let run = |row: &Row| -> Result<Run, StoreError> {
            Ok(Run {
                key: RunKey {
                    run_id: row.text(0)?,
                    experiment_id: row.opt_int(1)?.unwrap_or_default(),
                    start_ms: row.opt_int(5)?,
                },
                part: Default::default(),
                name: row.opt_text(2)?.unwrap_or_default(),
                user_id: row.opt_text(3)?.unwrap_or_default(),
                status: row.opt_text(4)?.unwrap_or_else(|| "FINISHED".to_owned()),
                end_ms: row.opt_int(6)?,
                deleted: deleted(row, 7)?,
                deleted_ms: row.opt_int(8)?,
                params: Vec::new(),
                tags: Vec::new(),
                datasets: Vec::new(),
                points: String::new(),
            })
        };
        Ok(self.rows(&select).await?.iter().map(run).collect::<Result<_, _>>()?)
    }

    /// Reads what runs logged, but for their points.
    pub(in crate::cli::import) async fn logged(&mut self, runs: &mut [Run]) -> Result<(), Failure> {
        let ids: Vec<String> = runs.iter().map(|run| run.key.run_id.clone()).collect();
        let mut params = self.pairs("params", "run_uuid", ["key", "value"], &ids).await?;
        let mut tags = self.pairs("tags", "run_uuid", ["key", "value"], &ids).await?;
        let mut datasets = self.datasets(&ids).await?;
        for run in runs {
            let id = run.key.run_id.as_str();
            run.params = params.remove(id).unwrap_or_default();
            run.tags = tags.remove(id).unwrap_or_default();
            run.datasets = datasets.remove(id).unwrap_or_default();
            if run.name.is_empty() {
                // Before 1.30 a run's name was its tag alone.
                let tag = run.tags.iter().find(|tag| tag.key == "mlflow.runName");
                run.name = tag.map(|tag| tag.value.clone()).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Keys and values about some things, by their ids.
    pub(in crate::cli::import) async fn pairs(
        &mut self,
        table: &'static str,
        of: &'static str,
        [key, value]: [&'static str; 2],
        ids: &[String],
    ) -> Result<HashMap<String, Vec<Tag>>, Failure> {
        let mut all: HashMap<String, Vec<Tag>> = HashMap::new();
        if !self.has(table).await? {
            return Ok(all);
        }
        let mut select = self.select(table, &[of, key, value]).await?;
        select.and_where(Expr::col(of).is_in(ids.iter().map(String::as_str)));
        for row in self.rows(&select).await? {
            all.entry(row.text(0)?).or_default().push(pair(&row)?);
        }
        Ok(all)
    }

    /// Datasets that runs used.
    async fn datasets(&mut self, ids: &[String]) -> Result<HashMap<String, Vec<DatasetInput>>, Failure> {
        let mut all: HashMap<String, Vec<DatasetInput>> = HashMap::new();
        if !self.has("inputs").await? || !self.has("datasets").await? {
            return Ok(all);
        }
        let mut select = self.select("inputs", &["input_uuid", "source_id", "destination_id"]).await?;
        select
            .and_where(Expr::col("source_type").eq("DATASET"))
            .and_where(Expr::col("destination_type").eq("RUN"))
            .and_where(Expr::col("destination_id").is_in(ids.iter().map(String::as_str)));
        let mut used = Vec::new();
        for row in self.rows(&select).await? {
            used.push((row.text(0)?, row.text(1)?, row.text(2)?));
        }
        if used.is_empty() {
            return Ok(all);
        }
        let inputs: Vec<String> = used.iter().map(|(input, ..)| input.clone()).collect();
        let mut tags = self.pairs("input_tags", "input_uuid", ["name", "value"], &inputs).await?;
        let columns = [
            "dataset_uuid",
            "name",
            "digest",
            "dataset_source_type",
            "dataset_source",
            "dataset_schema",
            "dataset_profile",
        ];
        let mut select = self.select("datasets", &columns).await?;
        let wanted: BTreeSet<&str> = used.iter().map(|(_, dataset, _)| dataset.as_str()).collect();
        select.and_where(Expr::col("dataset_uuid").is_in(wanted));
        let mut known: HashMap<String, DatasetInput> = HashMap::new();
        for row in self.rows(&select).await? {
            let dataset = DatasetInput {
                name: row.text(1)?,
                digest: row.text(2)?,
                source_type: row.text(3)?,
                source: row.text(4)?,
                schema: row.opt_text(5)?,
                profile: row.opt_text(6)?,
                tags: Vec::new(),
            };
            known.insert(row.text(0)?, dataset);
        }
        for (input, dataset, run) in used {
            if let Some(dataset) = known.get(&dataset) {
                let tags = tags.remove(&input).unwrap_or_default();
                all.entry(run).or_default().push(DatasetInput { tags, ..dataset.clone() });
            }
        }
        Ok(all)
    }

    /// Points of metrics of runs: those of a run together, and in it those of a metric by step.
    pub(in crate::cli::import) async fn points(&mut self, ids: &[String]) -> Result<Points<'_>, Failure> {
        let columns = ["run_uuid", "key", "value", "timestamp", "step", "is_nan"];
        let mut select = self.select("metrics", &columns).await?;
        select
            .and_where(Expr::col("run_uuid").is_in(ids.iter().map(String::as_str)))
            .order_by("run_uuid", Order::Asc)
            .order_by("key", Order::Asc)
            .order_by("step", Order::Asc)
            .order_by("timestamp", Order::Asc);
        Ok(Points(self.source.stream(&select)?))
    }

    /// Says what is there and is not taken over.
    pub(in crate::cli::import) async fn left_out(&mut self, report: &mut Report) -> Result<(), Failure> {
        for (table, what) in LEFT_OUT {
            let count = self.count(table).await?;
            report.left(what, "nothing here holds them yet", count, "");
        }
        for (table, what) in [("experiments", "experiments"), ("registered_models", "registered models")] {
            if self.columns(table).await?.contains("workspace") {
                let select = Query::select()
                    .expr(Func::count(Expr::val(1_i64)))
                    .from(table)
                    .and_where(Expr::col("workspace").ne(WORKSPACE))
                    .to_owned();
                let rows = self.rows(&select).await?;
                let count = rows.first().map(|row| row.int(0)).transpose()?.unwrap_or_default();
                report.left(what, "they are in other workspaces", count.unsigned_abs(), "");
            }
        }
        Ok(())
    }
}

/// Points, one after the other.
pub(in crate::cli::import) struct Points<'a>(ForeignRows<'a>);

impl Points<'_> {
    /// The next point, and the run that logged it.
    pub(in crate::cli::import) async fn next(&mut self) -> Result<Option<(String, Metric)>, Failure> {
        let Some(row) = self.0.next().await? else { return Ok(None) };
        let nan = row.opt_int(5)?.is_some_and(|nan| nan != 0);
        let value = if nan { f64::NAN } else { row.opt_real(2)?.unwrap_or_default() };
        let metric = Metric {
            key: row.text(1)?,
            value,
            time_ms: row.opt_int(3)?.unwrap_or_default(),
            step: row.opt_int(4)?.unwrap_or_default(),
        };
        Ok(Some((row.text(0)?, metric)))
    }
}

fn deleted(row: &Row, column: usize) -> Result<bool, StoreError> {
    Ok(row.opt_text(column)?.is_some_and(|stage| stage == "deleted"))
}

/// The second and the third column.
fn pair(row: &Row) -> Result<Tag, StoreError> {
    Ok(Tag { key: row.text(1)?, value: row.opt_text(2)?.unwrap_or_default() })
}
