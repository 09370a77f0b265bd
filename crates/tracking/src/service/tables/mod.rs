//! `system.ml.*`: what runs log, and models, as tables for SQL.
//!
//! The rows are read from the database while a query runs, a page at a time: what was logged is there for the next query, and
//! memory does not grow with what there is. Each page is cut inside its query by what the caller may see at that moment. A query
//! computes on threads of its own; what touches the database runs where the server does ([`reads::Reads`]).
//!
//! The columns have the names of Databricks' `system.mlflow` tables where those have them.

mod points;
mod reads;
mod rows;

use std::fmt::{self, Debug};
use std::sync::Arc;

use crannog_lake::on_server::OnServer;
use crannog_lake::ports::{RowStream, Served, SystemTable, SystemTables, Wanted};
use crannog_lake::service::statements::answer::{Cell, Columns, Type};
use crannog_security::Caller;
use crannog_store::query::{Expr, ExprTrait, SelectStatement};
use crannog_store::{Db, Row};
use crannog_types::{Micros, Result};

use self::reads::{Reads, Scope};

/// The schema.
const SCHEMA: &str = "ml";

/// A table.
struct Table {
    name: &'static str,
    columns: Columns,
    /// For each column, what it is in the database; empty where the rows are made of packed points.
    sql: &'static [(Kind, &'static str)],
    /// Columns by which less can be read: what they are compared as, and whether that is a number.
    only: &'static [(&'static str, &'static str, bool)],
    rows: Rows,
}

/// What a column is in the database.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Long,
    /// NULL is no number.
    Double,
    /// A time as clients give it.
    Millis,
    /// A time of the server's.
    Micros,
}

impl Kind {
    /// What it is for SQL.
    const fn shown(self) -> Type {
        match self {
            Kind::Text => Type::Text,
            Kind::Long => Type::Long,
            Kind::Double => Type::Double,
            Kind::Millis | Kind::Micros => Type::Timestamp,
        }
    }
}

/// How the rows of a table are read.
enum Rows {
    /// Along a key of the table itself.
    Along(rows::Along),
    /// Of some runs at a time.
    OfRuns(rows::OfRuns),
    /// Of some runs at a time, unpacked.
    Points,
}

macro_rules! table {
    ($name:literal, $rows:expr, [$($only:literal = $compared:literal $number:literal),*], $($column:literal $kind:ident $sql:literal),* $(,)?) => {
        Table {
            name: $name,
            columns: &[$(($column, Kind::$kind.shown())),*],
            sql: &[$((Kind::$kind, $sql)),*],
            only: &[$(($only, $compared, $number)),*],
            rows: $rows,
        }
    };
}

// An experiment is compared as what no index has, as the order that rows are read in is that of their keys: the index by
// experiments would have them sorted anew for each page.
const TABLES: &[Table] = &[
    table!("experiments", Rows::Along(rows::EXPERIMENTS), ["experiment_id" = "e.id" true],
        "experiment_id" Text "cast(e.id AS text)",
        "name" Text "e.name",
        "artifact_location" Text "coalesce(e.artifact_location, 'mlflow-artifacts:/' || cast(e.id AS text))",
        "lifecycle_stage" Text "e.lifecycle",
        "create_time" Millis "e.created_ms",
        "update_time" Millis "e.updated_ms",
        "delete_time" Millis "CASE WHEN e.lifecycle = 'deleted' THEN e.updated_ms END",
    ),
    table!("runs", Rows::Along(rows::RUNS), ["run_id" = "r.run_id" false, "experiment_id" = "(r.experiment + 0)" true],
        "experiment_id" Text "cast(r.experiment AS text)",
        "run_id" Text "r.run_id",
        "run_name" Text "r.name",
        "user_id" Text "r.user_id",
        "created_by" Text "(SELECT p.name FROM principal p WHERE p.id = r.created_by)",
        "status" Text "r.status",
        "start_time" Millis "r.start_ms",
        "end_time" Millis "r.end_ms",
        "create_time" Micros "r.created_at",
        "delete_time" Millis "r.deleted_ms",
        "lifecycle_stage" Text "r.lifecycle",
        "artifact_uri" Text "coalesce(rtrim(e.artifact_location, '/'), 'mlflow-artifacts:/' || cast(e.id AS text)) || '/' \
                             || r.run_id || '/artifacts'",
    ),
    table!("metrics", Rows::Points, [],
        "experiment_id" Text "",
        "run_id" Text "",
        "metric_name" Text "",
        "metric_value" Double "",
        "metric_step" Long "",
        "metric_time" Millis "",
    ),
    table!("latest_metrics", Rows::OfRuns(rows::LATEST_METRICS), ["metric_name" = "d.key" false],
        "experiment_id" Text "cast(r.experiment AS text)",
        "run_id" Text "r.run_id",
        "metric_name" Text "d.key",
        "metric_value" Double "CASE WHEN d.nan = 0 THEN d.value END",
        "metric_step" Long "d.step",
        "metric_time" Millis "d.time_ms",
    ),
    table!("params", Rows::OfRuns(rows::PARAMS), ["key" = "d.key" false],
        "experiment_id" Text "cast(r.experiment AS text)",
        "run_id" Text "r.run_id",
        "key" Text "d.key",
        "value" Text "d.value",
    ),
    table!("tags", Rows::OfRuns(rows::TAGS), ["key" = "d.key" false],
        "experiment_id" Text "cast(r.experiment AS text)",
        "run_id" Text "r.run_id",
        "key" Text "d.key",
        "value" Text "d.value",
    ),
    table!("logged_models", Rows::Along(rows::LOGGED_MODELS),
        ["model_id" = "m.model_id" false, "experiment_id" = "(m.experiment + 0)" true],
        "experiment_id" Text "cast(m.experiment AS text)",
        "model_id" Text "m.model_id",
        "name" Text "m.name",
        "model_type" Text "nullif(m.model_type, '')",
        "source_run_id" Text "nullif(m.source_run, '')",
        "status" Text "m.status",
        "lifecycle_stage" Text "m.lifecycle",
        "create_time" Millis "m.created_ms",
        "update_time" Millis "m.updated_ms",
    ),
    table!("registered_models", Rows::Along(rows::MODELS), [],
        "catalog_name" Text "c.name",
        "schema_name" Text "p.name",
        "model_name" Text "s.name",
        "owner" Text "(SELECT o.name FROM principal o WHERE o.id = s.owner)",
        "comment" Text "s.comment",
        "create_time" Micros "s.created_at",
        "created_by" Text "s.created_by",
        "update_time" Micros "s.updated_at",
        "updated_by" Text "s.updated_by",
    ),
    table!("model_versions", Rows::Along(rows::VERSIONS), ["run_id" = "v.run_id" false, "model_id" = "v.model_id" false],
        "catalog_name" Text "c.name",
        "schema_name" Text "p.name",
        "model_name" Text "s.name",
        "version" Long "v.version",
        "status" Text "v.status",
        "stage" Text "v.stage",
        "source" Text "v.source",
        "run_id" Text "v.run_id",
        "model_id" Text "v.model_id",
        "comment" Text "v.comment",
        "create_time" Micros "v.created_at",
        "created_by" Text "v.created_by",
        "update_time" Micros "v.updated_at",
        "updated_by" Text "v.updated_by",
    ),
    table!("model_aliases", Rows::Along(rows::ALIASES), [],
        "catalog_name" Text "c.name",
        "schema_name" Text "p.name",
        "model_name" Text "s.name",
        "alias" Text "a.alias",
        "version" Long "a.version",
    ),
];

/// The tables of this component.
pub struct Tables {
    db: Db,
    server: OnServer,
}

impl Tables {
    /// Over a database, which is read on the runtime of whoever makes this.
    pub fn new(db: Db) -> Self {
        Tables { db, server: OnServer::here() }
    }
}

impl SystemTables for Tables {
    fn tables(&self) -> Vec<SystemTable> {
        TABLES.iter().map(|table| (SCHEMA, table.name, table.columns)).collect()
    }

    fn open(&self, caller: &Caller, schema: &str, name: &str) -> Option<Arc<dyn Served>> {
        let table = TABLES.iter().find(|table| schema == SCHEMA && table.name == name)?;
        let scope = match &table.rows {
            Rows::Along(along) => along.scope,
            Rows::OfRuns(_) | Rows::Points => Scope::Experiments,
        };
        let reads = Reads::new(self.db.clone(), caller.clone(), self.server.clone(), scope);
        Some(Arc::new(Opened { table, reads }))
    }
}

/// One of them, as somebody may see it.
struct Opened {
    table: &'static Table,
    reads: Reads,
}

impl Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "system.{SCHEMA}.{}", self.table.name)
    }
}

impl Served for Opened {
    fn columns(&self) -> Columns {
        self.table.columns
    }

    fn rows(&self, wanted: Wanted) -> RowStream {
        let (table, reads) = (self.table, self.reads.clone());
        match &table.rows {
            Rows::Along(along) => rows::along(reads, table, along, wanted),
            Rows::OfRuns(of_runs) => rows::of_runs(reads, table, of_runs, wanted),
            Rows::Points => points::points(reads, table, wanted),
        }
    }
}

impl Table {
    /// Some of the columns.
    fn chosen(&self, wanted: &Wanted) -> Vec<(&'static str, Type)> {
        wanted.columns.iter().filter_map(|at| self.columns.get(*at).copied()).collect()
    }

    /// Has a query give what was asked for.
    fn select(&self, query: &mut SelectStatement, wanted: &Wanted) {
        for at in &wanted.columns {
            if let (Some((_, sql)), Some((name, _))) = (self.sql.get(*at), self.columns.get(*at)) {
                query.expr_as(Expr::cust(*sql), *name);
            }
        }
    }

    /// The cells of a row of what [`Table::select`] added to the front of a query.
    fn cells(&self, row: &Row, wanted: &Wanted) -> Result<Vec<Cell>> {
        let kinds = wanted.columns.iter().filter_map(|at| self.sql.get(*at).map(|(kind, _)| *kind));
        let cell = |(at, kind): (usize, Kind)| {
            Ok(match kind {
                Kind::Text => row.opt_text(at)?.into(),
                Kind::Long => row.opt_int(at)?.into(),
                Kind::Double => Cell::Real(row.opt_real(at)?.unwrap_or(f64::NAN)),
                Kind::Millis => row.opt_int(at)?.map(moment).into(),
                Kind::Micros => row.opt_int(at)?.map(Micros).into(),
            })
        };
        kinds.enumerate().map(cell).collect()
    }

    /// Has a query read less where what was asked for allows it.
    fn narrow(&self, query: &mut SelectStatement, wanted: &Wanted) {
        for (column, compared, number) in self.only {
            if let Some(texts) = self.texts(wanted, column) {
                query.and_where(one_of(compared, *number, texts));
            }
        }
    }

    /// The texts of which a column must have one.
    fn texts<'w>(&self, wanted: &'w Wanted, column: &str) -> Option<&'w [String]> {
        let only = wanted.only.iter().find(|(at, _)| self.columns.get(*at).is_some_and(|(name, _)| *name == column))?;
        // More than a statement takes are looked through above the scan.
        (only.1.len() <= 1000).then_some(&only.1)
    }
}

/// A time as clients give it. Nothing is too late for them; for SQL the year 294247 is the last.
fn moment(millis: i64) -> Micros {
    Micros(millis.saturating_mul(1000))
}

/// Whether something is one of some texts, or the number that one of them is.
fn one_of(compared: &'static str, number: bool, texts: &[String]) -> Expr {
    let compared = Expr::cust(compared);
    if number {
        return compared.is_in(texts.iter().filter_map(|text| text.parse::<i64>().ok()));
    }
    compared.is_in(texts.iter().filter(|text| !text.contains('\0')).map(String::as_str))
}
