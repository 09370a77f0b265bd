//! Statements: from text to an answer.
//!
//! A statement is parsed, its parameters are bound, its names are resolved and asked for one by one through the caller, and
//! only then is it planned or done. Nothing here reads a table without a permit, because nothing can.

mod access;
mod alter;
pub mod answer;
mod column_types;
mod create;
mod describe;
mod external;
pub mod held;
pub mod history;
mod information_schema;
mod known;
mod partition;
mod query;
mod replace_where;
mod resolve;
mod show;
mod system;
mod write;

use std::sync::{Arc, Mutex, PoisonError};

use crannog_governance::Governance;
use crannog_security::Caller;
use crannog_store::until_won;
use crannog_types::{Code, FullName, Micros, Problem, Result, SecurableId};

use self::answer::Answer;
use self::held::Held;
use self::history::History;
use super::arbiter::{Arbiter, Author};
use super::follow::Follower;
use crate::grammar::statement::{Set, TimeZone, Use};
use crate::grammar::{self, Name, Parameters, Statement};
use crate::ports::{Engine, Session, SystemTables};

/// Everything that statements work with. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    /// The catalog.
    pub governance: Governance,
    /// The engine that plans and scans.
    pub engine: Arc<dyn Engine>,
    /// The keeper of tables.
    pub arbiter: Arc<Arbiter>,
    /// Who asked what.
    pub history: Arc<History>,
    /// What keeps the catalog up with tables' logs.
    pub follower: Arc<Follower>,
    /// Tables of the catalog `system` that other components make.
    pub system_tables: Vec<Arc<dyn SystemTables>>,
}

/// What a statement starts with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The current catalog.
    pub catalog: String,
    /// The current schema.
    pub schema: String,
    /// An IANA name or an offset.
    pub time_zone: String,
}

impl Default for Context {
    fn default() -> Self {
        Context { catalog: "main".to_owned(), schema: "default".to_owned(), time_zone: "UTC".to_owned() }
    }
}

/// What a statement touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// Tables that it read.
    pub reads: Vec<TableRead>,
    /// Files of volumes that it read.
    pub files: Vec<FilesRead>,
    /// Tables that it wrote or changed.
    pub writes: Vec<TableWrite>,
}

/// Refuses a time zone that there is not, where it is set: later statements would fail of it.
///
/// # Errors
/// `INVALID_TIMEZONE`.
pub(crate) fn check_time_zone(engine: &dyn Engine, zone: &str) -> Result<()> {
    if engine.knows_time_zone(zone) {
        return Ok(());
    }
    Err(Problem::invalid(format!("the time zone '{zone}' is not known"))
        .reason("INVALID_TIMEZONE")
        .sql_state("22009")
        .hint("write a region such as Europe/Zurich, or an offset such as +01:00"))
}

/// One table or view that a statement read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableRead {
    /// Its id.
    pub id: SecurableId,
    /// Its full name.
    pub name: FullName,
    /// Whether it is a view.
    pub view: bool,
    /// The columns that were read of it; empty until it is planned.
    pub columns: Vec<String>,
    /// The view that the statement named, when it read this with the rights of the view's owner: the reader is not told.
    pub via: Option<FullName>,
}

/// A file of a volume that a statement read, or a folder of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilesRead {
    /// The volume's id.
    pub id: SecurableId,
    /// The volume's full name.
    pub volume: FullName,
    /// `/Volumes/…`, as the statement names it.
    pub path: String,
    /// As of [`TableRead`].
    pub via: Option<FullName>,
}

/// One table that a statement wrote, or view that it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableWrite {
    /// Its id.
    pub id: SecurableId,
    /// Its full name.
    pub name: FullName,
    /// Rows that were written; `None` where none were counted.
    pub rows: Option<i64>,
    /// Whether it is a view, which shows what the statement's query reads.
    pub view: bool,
}

/// One statement under way.
pub struct Run {
    lake: Lake,
    caller: Caller,
    session: Session,
    touched: Arc<Mutex<Touched>>,
    held: Arc<Held>,
    /// What USE and SET leave to the statements after it.
    context: Mutex<Context>,
}

impl Run {
    /// A statement of a caller, begun at a moment. What it uses is added to what it holds.
    pub fn new(
        lake: &Lake,
        caller: Caller,
        context: &Context,
        groups: Vec<String>,
        now: Micros,
        held: Arc<Held>,
    ) -> Self {
        let session = Session {
            catalog: context.catalog.clone(),
            schema: context.schema.clone(),
            time_zone: context.time_zone.clone(),
            user: caller.who().name.to_string(),
            groups,
            now,
        };
        Run { lake: lake.clone(), caller, session, touched: Arc::default(), held, context: Mutex::new(context.clone()) }
    }

    /// Parses and does it.
    ///
    /// # Errors
    /// Whatever is wrong with it, with an SQLSTATE where Spark has one.
    pub async fn text(&self, sql: &str, parameters: &Parameters) -> Result<Answer> {
        self.parsed(grammar::parse(sql)?, parameters).await
    }

    /// Does what was parsed.
    ///
    /// # Errors
    /// As [`Run::text`].
    pub async fn parsed(&self, mut statement: Statement, parameters: &Parameters) -> Result<Answer> {
        grammar::bind(&mut statement, parameters)?;
        self.statement(statement).await
    }

    /// What it touched so far.
    pub fn touched(&self) -> Arc<Mutex<Touched>> {
        Arc::clone(&self.touched)
    }

    /// What it leaves to the statements after it in the same session.
    pub fn context(&self) -> Context {
        self.context.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Does it; a definition that lost a race in the database once more, as kit does it with requests.
    async fn statement(&self, statement: Statement) -> Result<Answer> {
        if is_one_change(&statement) {
            return until_won(|| self.once(statement.clone())).await;
        }
        self.once(statement).await
    }

    async fn once(&self, statement: Statement) -> Result<Answer> {
        match statement {
            Statement::Query(query) => self.query(*query).await,
            Statement::Explain(explain) => self.explain(explain).await,
            Statement::Insert(insert) => self.insert(insert).await,
            Statement::CopyInto(copy) => self.copy_into(copy).await,
            Statement::Truncate(truncate) => self.truncate(&truncate.table).await,
            Statement::Delete(delete) if delete.condition.is_none() => self.truncate(&delete.table).await,
            Statement::CreateTable(create) => self.create_table(*create).await,
            Statement::CreateView(create) => self.create_view(*create).await,
            Statement::CreateSchema(create) => self.create_schema(create).await,
            Statement::CreateCatalog(create) => self.create_catalog(create).await,
            Statement::CreateVolume(create) => self.create_volume(create).await,
            Statement::Drop(drop) => self.drop(drop).await,
            Statement::Alter(alter) => self.alter(alter).await,
            Statement::CommentOn(comment) => self.comment_on(comment).await,
            Statement::Grant(grant) => self.grant(&grant, true).await,
            Statement::Revoke(grant) => self.grant(&grant, false).await,
            Statement::ShowGrants(show) => self.show_grants(&show).await,
            Statement::Show(show) => self.show(show).await,
            Statement::Describe(describe) => self.describe(describe).await,
            Statement::Use(to) => self.use_(to).await,
            Statement::Set(set) => self.set(set),
            Statement::Reset(key) => self.reset(key.as_deref()),
            Statement::RefreshTable(table) => self.refresh_table(&table).await,
            other @ (Statement::Delete(_)
            | Statement::Update(_)
            | Statement::Merge(_)
            | Statement::CloneTable(_)
            | Statement::CreateFunction(_)
            | Statement::Vacuum(_)
            | Statement::Optimize(_)
            | Statement::Restore(_)
            | Statement::Analyze(_)) => Err(not_yet(words_of(other.kind()))),
        }
    }

    async fn use_(&self, to: Use) -> Result<Answer> {
        use crannog_security::NameOf;
        use crannog_security::actions::schemas;
        let (catalog, schema) = match to {
            Use::Catalog(catalog) => (catalog, "default".to_owned()),
            Use::Schema(Name(parts)) => match parts.as_slice() {
                [schema] => (self.session.catalog.clone(), schema.clone()),
                [catalog, schema] => (catalog.clone(), schema.clone()),
                _ => return Err(Problem::invalid("USE takes a schema, or a catalog and a schema")),
            },
        };
        // A catalog has these two without anybody having made them.
        if ["default", "information_schema"].contains(&schema.to_ascii_lowercase().as_str())
            || catalog.eq_ignore_ascii_case("system")
        {
            self.check_catalog(&FullName::of([catalog.clone()])).await?;
        } else {
            let name = FullName::of([catalog.clone(), schema.clone()]);
            self.caller.ask::<schemas::ReadMetadata>(NameOf::named(name)).await?;
        }
        let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
        (context.catalog, context.schema) = (catalog, schema);
        Ok(Answer::nothing())
    }

    fn set(&self, set: Set) -> Result<Answer> {
        use self::answer::{Cell, Type};
        let columns = [("key", Type::Text), ("value", Type::Text)];
        let zone = |zone: String| -> Result<Answer> {
            check_time_zone(self.lake.engine.as_ref(), &zone)?;
            let mut context = self.context.lock().unwrap_or_else(PoisonError::into_inner);
            context.time_zone.clone_from(&zone);
            Answer::table(&columns, &[vec!["spark.sql.session.timeZone".into(), zone.into()]])
        };
        match set {
            Set::TimeZone(TimeZone::Named(name)) => zone(name),
            Set::TimeZone(TimeZone::Local) => zone("UTC".to_owned()),
            Set::TimeZone(TimeZone::Offset(_)) => {
                Err(Problem::new(Code::Unimplemented, "SET TIME ZONE INTERVAL is not available")
                    .hint("write the offset as a text: SET TIME ZONE '+01:00'"))
            }
            Set::Value { key, value } => match key.to_ascii_lowercase().as_str() {
                "timezone" | "spark.sql.session.timezone" => zone(value),
                "ansi_mode" | "spark.sql.ansi.enabled" if value.eq_ignore_ascii_case("true") => {
                    Answer::table(&columns, &[vec![key.into(), value.into()]])
                }
                _ => {
                    Err(Problem::new(Code::InvalidArgument, format!("the setting {key:?} cannot be set to {value:?}"))
                        .reason("CONFIG_NOT_AVAILABLE")
                        .sql_state("42K0I")
                        .hint("TIMEZONE can be set; ANSI_MODE is always true"))
                }
            },
            Set::Show(key) => {
                let value = self.setting(&key).map_or(Cell::Text("<undefined>".to_owned()), Cell::Text);
                Answer::table(&columns, &[vec![key.into(), value]])
            }
            Set::ShowAll => {
                let rows = ["ANSI_MODE", "TIMEZONE"].map(|key| vec![key.into(), self.setting(key).into()]);
                Answer::table(&columns, &rows)
            }
        }
    }

    fn setting(&self, key: &str) -> Option<String> {
        match key.to_ascii_lowercase().as_str() {
            "timezone" | "spark.sql.session.timezone" => Some(self.session.time_zone.clone()),
            "ansi_mode" | "spark.sql.ansi.enabled" => Some("true".to_owned()),
            _ => None,
        }
    }

    fn reset(&self, key: Option<&str>) -> Result<Answer> {
        if let Some(key) = key
            && self.setting(key).is_none()
        {
            return Err(Problem::invalid(format!("there is no setting {key:?}")).hint("TIMEZONE can be reset"));
        }
        Context::default()
            .time_zone
            .clone_into(&mut self.context.lock().unwrap_or_else(PoisonError::into_inner).time_zone);
        Ok(Answer::nothing())
    }

    /// `commitInfo`'s author.
    fn author(&self) -> Author {
        let who = self.caller.who();
        let statement = self.caller.origin().statement_id.clone();
        Author { id: who.id.to_string(), name: who.name.to_string(), statement }
    }

    fn note_written(&self, id: SecurableId, name: &FullName, rows: Option<i64>) {
        self.note(TableWrite { id, name: name.clone(), rows, view: false });
    }

    fn note(&self, write: TableWrite) {
        self.touched.lock().unwrap_or_else(PoisonError::into_inner).writes.push(write);
    }

    /// A name completed to three parts with the session's catalog and schema.
    fn full_name(&self, name: &Name) -> Result<FullName> {
        let parts = name.parts();
        let session = &self.session;
        match parts {
            [format, path] if path.contains('/') => {
                Err(Problem::new(Code::Unimplemented, format!("{format}.`{path}` is a path, not a name"))
                    .reason("UNSUPPORTED_FEATURE")
                    .sql_state("0A000")
                    .hint(
                        "grants are on names: write the table's name in the catalog; an administrator gives one to a \
                         Delta table with CREATE TABLE … LOCATION",
                    ))
            }
            [table] => Ok(FullName::of([&session.catalog, &session.schema, table])),
            [schema, table] => Ok(FullName::of([&session.catalog, schema, table])),
            [_, _, _] => Ok(FullName::of(parts.to_vec())),
            _ => Err(Problem::invalid(format!("the name {name} has more than three parts")).sql_state("42601")),
        }
    }

    /// A schema's name completed to two parts.
    fn schema_name(&self, name: Option<&Name>) -> Result<FullName> {
        match name.map(Name::parts) {
            None => Ok(FullName::of([&self.session.catalog, &self.session.schema])),
            Some([schema]) => Ok(FullName::of([&self.session.catalog, schema])),
            Some([catalog, schema]) => Ok(FullName::of([catalog, schema])),
            Some(parts) => {
                Err(Problem::invalid(format!("the schema name {} has more than two parts", parts.join("."))))
            }
        }
    }
}

fn not_yet(what: &str) -> Problem {
    let changes_rows = ["DELETE", "UPDATE", "MERGE", "INSERT"].iter().any(|word| what.starts_with(word));
    let problem = Problem::new(Code::Unimplemented, format!("[UNSUPPORTED_FEATURE] {what} is not available"))
        .reason("UNSUPPORTED_FEATURE")
        .sql_state("0A000");
    if changes_rows {
        return problem.hint("INSERT, INSERT OVERWRITE, TRUNCATE, COPY INTO and CREATE TABLE AS SELECT change tables");
    }
    problem.hint("docs/tables.md lists the statements that there are")
}

/// A statement's kind as it is written: `CreateFunction` is CREATE FUNCTION.
fn words_of(kind: &str) -> &str {
    match kind {
        "Delete" => "DELETE … WHERE",
        "Update" => "UPDATE",
        "Merge" => "MERGE",
        "CloneTable" => "CREATE TABLE … CLONE",
        "CreateFunction" => "CREATE FUNCTION",
        "Vacuum" => "VACUUM",
        "Optimize" => "OPTIMIZE",
        "Restore" => "RESTORE",
        "Analyze" => "ANALYZE",
        other => other,
    }
}

/// Whether all that it does is one change of the database, so that the whole can be run again. Others write files or commit to
/// tables as well, which is done once: they run their changes of the database again by themselves.
fn is_one_change(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::CreateView(_)
            | Statement::CreateSchema(_)
            | Statement::CreateCatalog(_)
            | Statement::Drop(_)
            | Statement::Grant(_)
            | Statement::Revoke(_)
    )
}
