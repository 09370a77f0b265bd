//! Names of a query become things that it may read: each is asked for, one by one, through the caller.
//!
//! A view's own names are asked for with the rights of its owner, and in the catalog and schema that it was made in. What
//! the caller sees of that is the view alone.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};

use crannog_governance::model::objects::{Table, TableType};
use crannog_governance::service::{tables as catalog_tables, volumes as catalog_volumes};
use crannog_security::actions::{Action, tables, volumes};
use crannog_security::{Caller, Lease, NameOf, Permit, kinds};
use crannog_storage::{Access, FileMeta, Folder, Location};
use crannog_types::{Code, FullName, Problem, Result, fold};
use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Query, Value, ValueWithSpan};

use super::{FilesRead, Run, TableRead, information_schema, system};
use crate::grammar::{self, Name, PATH_SCHEME, Relation as Named};
use crate::model::state::TableState;
use crate::ports::{FileFormat, FilesScan, Relation, RelationKey, Relations, TableScan, ViewScan};

/// Views over views, at most.
const VIEW_DEPTH: usize = 32;

/// Whose rights and whose short names a query is resolved with.
pub(super) struct Scope<'a> {
    caller: &'a Caller,
    catalog: &'a str,
    schema: &'a str,
    depth: usize,
    /// The view that the statement named, inside of it.
    via: Option<&'a FullName>,
}

impl Run {
    /// Everything that a query of the caller's own reads.
    pub(super) async fn relations(&self, query: &Query) -> Result<Relations> {
        self.resolve(&self.scope(), query).await
    }

    /// The caller's own rights and names.
    pub(super) fn scope(&self) -> Scope<'_> {
        let session = &self.session;
        Scope { caller: &self.caller, catalog: &session.catalog, schema: &session.schema, depth: 0, via: None }
    }

    fn resolve<'a>(
        &'a self,
        scope: &'a Scope<'a>,
        query: &'a Query,
    ) -> Pin<Box<dyn Future<Output = Result<Relations>> + Send + 'a>> {
        Box::pin(async move {
            let mut relations = Relations::new();
            for named in grammar::relations(query) {
                let (key, relation) = match named {
                    Named::Table(name) => {
                        let key = key_of(&name, scope.catalog, scope.schema)?;
                        if relations.contains_key(&key) {
                            continue;
                        }
                        (key, self.table_or_files(scope, &name).await?)
                    }
                    Named::Function { name, arguments } => {
                        if !name.parts().last().is_some_and(|last| last.eq_ignore_ascii_case("read_files")) {
                            continue;
                        }
                        let key = vec!["read_files()".to_owned(), join(&arguments)];
                        (key, Relation::Files(self.read_files(scope, &arguments).await?))
                    }
                };
                relations.insert(key, relation);
            }
            Ok(relations)
        })
    }

    async fn table_or_files(&self, scope: &Scope<'_>, name: &Name) -> Result<Relation> {
        if let [format, path] = name.parts()
            && path.starts_with('/')
        {
            let format = match format.to_ascii_lowercase().as_str() {
                "csv" => FileFormat::Csv,
                "json" => FileFormat::Json,
                "parquet" => FileFormat::Parquet,
                other => {
                    return Err(Problem::new(Code::Unimplemented, format!("{other}.`{path}` cannot be read by path"))
                        .sql_state("0A000")
                        .hint("csv, json and parquet files of volumes can; a Delta table is read by its name in the catalog"));
                }
            };
            return Ok(Relation::Files(self.files(scope, path, format, Vec::new(), |_| true).await?));
        }
        let full = complete(name, scope.catalog, scope.schema)?;
        let parts: Vec<String> = full.parts().iter().map(|part| fold(part)).collect();
        let made = match parts.as_slice() {
            [catalog, schema, table] if schema == "information_schema" => {
                let of = (catalog != "system").then_some(catalog.as_str());
                let made = information_schema::relation(self, of, table).await?;
                made.map(|(schema, batches)| Relation::Rows(batches, schema))
            }
            [catalog, schema, table] if catalog == "system" => {
                system::relation(self, schema, table).await?.map(Relation::Served)
            }
            _ => return self.governed(scope, full).await,
        };
        made.ok_or_else(|| missing(&full))
    }

    async fn governed(&self, scope: &Scope<'_>, name: FullName) -> Result<Relation> {
        let permit = scope.caller.ask::<tables::Select>(NameOf::named(name)).await?;
        let table = catalog_tables::get(&self.lake.governance.db, &permit).await?;
        self.note_read(&permit, table.view.is_some(), scope.via);
        self.held.add(Lease::of(scope.caller, &permit), scope.via);
        let Some(view) = &table.view else {
            let (folder, state) = self.open_table(&permit, &table).await?;
            return Ok(Relation::Table(TableScan { permit, folder, state }));
        };
        if scope.depth >= VIEW_DEPTH {
            return Err(Problem::new(Code::InvalidArgument, format!("views are nested deeper than {VIEW_DEPTH}"))
                .reason("VIEW_EXCEED_MAX_NESTED_DEPTH")
                .sql_state("54K00"));
        }
        let query = *grammar::parse_query(&view.text)?;
        let owner = self.lake.governance.authority.owner_of_view(scope.caller, permit.target().owner).await?;
        let via = Some(scope.via.unwrap_or(&permit.target().name));
        let inner = Scope { caller: &owner, catalog: &view.catalog, schema: &view.schema, depth: scope.depth + 1, via };
        let relations =
            self.resolve(&inner, &query).await.map_err(|problem| in_view(&permit.target().name, problem))?;
        let columns =
            table.properties.get(super::create::VIEW_COLUMNS).and_then(|text| serde_json::from_str(text).ok());
        let (catalog, schema) = (view.catalog.clone(), view.schema.clone());
        Ok(Relation::View(Box::new(ViewScan { permit, query, columns, catalog, schema, relations })))
    }

    /// A table's folder and newest state, for whatever the permit allows.
    pub(super) async fn open_table<A: Action<On = kinds::Table>>(
        &self,
        permit: &Permit<A>,
        table: &Table,
    ) -> Result<(Folder, Arc<TableState>)> {
        self.open_table_for(permit, table, Access::Read).await
    }

    /// The same, to write as well.
    pub(super) async fn open_table_for<A: Action<On = kinds::Table>>(
        &self,
        permit: &Permit<A>,
        table: &Table,
        access: Access,
    ) -> Result<(Folder, Arc<TableState>)> {
        let location = match (&table.table_type, &table.location) {
            (TableType::Managed | TableType::External, Some(location)) => Location::parse(location)?,
            _ => {
                return Err(Problem::invalid(format!("{} is a view", table.object.name))
                    .reason("EXPECT_TABLE_NOT_VIEW")
                    .sql_state("42809")
                    .hint("name the table that it reads"));
            }
        };
        let folder = self.lake.governance.storage.open(permit, &location, access)?;
        let state = self.lake.arbiter.open(&folder).await?;
        self.lake.follower.seen(table.object.id, &folder, table.version, &state);
        Ok((folder, state))
    }

    pub(super) fn note_read(&self, permit: &Permit<tables::Select>, view: bool, via: Option<&FullName>) {
        let (id, name) = (permit.target().id, permit.target().name.clone());
        let reads = &mut self.touched.lock().unwrap_or_else(PoisonError::into_inner).reads;
        if !reads.iter().any(|read| read.name == name && read.via.as_ref() == via) {
            reads.push(TableRead { id, name, view, columns: Vec::new(), via: via.cloned() });
        }
    }

    fn note_files_read(&self, volume: &Permit<volumes::Read>, path: &str, via: Option<&FullName>) {
        let (id, volume) = (volume.target().id, volume.target().name.clone());
        let read = FilesRead { id, volume, path: path.to_owned(), via: via.cloned() };
        let files = &mut self.touched.lock().unwrap_or_else(PoisonError::into_inner).files;
        if !files.contains(&read) {
            files.push(read);
        }
    }

    async fn read_files(&self, scope: &Scope<'_>, arguments: &[FunctionArg]) -> Result<FilesScan> {
        let (mut path, mut format, mut options) = (None, None, Vec::new());
        for argument in arguments {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if path.is_none() => path = Some(text_of(expr)?),
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                    let (name, value) = (name.value.to_ascii_lowercase(), text_of(expr)?);
                    if name == "format" { format = Some(value) } else { options.push((name, value)) }
                }
                other => {
                    return Err(Problem::invalid(format!("read_files does not take {other}"))
                        .hint("read_files('/Volumes/…', format => 'csv', header => true)"));
                }
            }
        }
        let path = path.ok_or_else(|| Problem::invalid("read_files needs a path").hint("read_files('/Volumes/…')"))?;
        let format = format_of(format.as_deref(), &path)?;
        self.files(scope, &path, format, options, |_| true).await
    }

    /// The files below a path of a volume, in the order of their names.
    pub(super) async fn files(
        &self,
        scope: &Scope<'_>,
        path: &str,
        format: FileFormat,
        options: Vec<(String, String)>,
        wanted: impl Fn(&FileMeta) -> bool + Send,
    ) -> Result<FilesScan> {
        let path = path.strip_prefix("dbfs:").unwrap_or(path);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let ["Volumes", catalog, schema, volume, rest @ ..] = parts.as_slice() else {
            return Err(Problem::invalid(format!("{path:?} is not a path of a volume"))
                .sql_state("42K03")
                .hint("paths look like /Volumes/<catalog>/<schema>/<volume>/<folders and files>"));
        };
        let name = FullName::of([*catalog, *schema, *volume]);
        let permit = Arc::new(scope.caller.ask::<volumes::Read>(NameOf::named(name)).await?);
        self.note_files_read(&permit, path, scope.via);
        // What is behind a view is held by the view alone: its own name may not be told.
        if scope.caller.who() == self.caller.who() {
            self.held.add(Lease::of(scope.caller, &permit), None);
        }
        let folder = catalog_volumes::to_read(&self.lake.governance, &permit).await?;
        let below = rest.join("/");
        let mut files = match folder.head(&below).await? {
            Some(meta) if !meta.is_dir => vec![meta],
            Some(_) => folder.list(&below, true).await?,
            None => {
                return Err(Problem::not_found(format!("the path {path} does not exist"))
                    .reason("PATH_NOT_FOUND")
                    .sql_state("42K03")
                    .hint("SHOW VOLUMES lists the volumes of a schema; upload the files first, with the Files API"));
            }
        };
        let hidden = |file: &FileMeta| {
            let last = file.path.rsplit('/').next().unwrap_or_default();
            last.starts_with('_') || last.starts_with('.')
        };
        files.retain(|file| !file.is_dir && !hidden(file) && wanted(file));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let shown_as = format!("/Volumes/{catalog}/{schema}/{volume}");
        Ok(FilesScan { permit, folder, shown_as, files, format, options, schema: None })
    }
}

/// The key of a table reference; see [`RelationKey`].
pub(super) fn key_of(name: &Name, catalog: &str, schema: &str) -> Result<RelationKey> {
    Ok(complete(name, catalog, schema)?.parts().iter().map(|part| part.to_lowercase()).collect())
}

/// The format that a word or a file's name says.
pub(super) fn format_of(word: Option<&str>, path: &str) -> Result<FileFormat> {
    let by_name = Path::new(path).extension().and_then(|extension| extension.to_str());
    match word.or(by_name).map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(FileFormat::Csv),
        Some("json") => Ok(FileFormat::Json),
        Some("parquet") => Ok(FileFormat::Parquet),
        Some(other) if word.is_some() => {
            Err(Problem::new(Code::Unimplemented, format!("files of the format {other:?} cannot be read"))
                .sql_state("0A000")
                .hint("csv, json and parquet can"))
        }
        _ => Err(Problem::invalid(format!("the format of {path} is not known"))
            .hint("say format => 'csv', 'json' or 'parquet'")),
    }
}

fn complete(name: &Name, catalog: &str, schema: &str) -> Result<FullName> {
    match name.parts() {
        [table] => Ok(FullName::of([catalog, schema, table])),
        [schema, table] => Ok(FullName::of([catalog, schema, table])),
        [_, _, _] => Ok(FullName::of(name.parts().to_vec())),
        _ => Err(Problem::invalid(format!("the name {name} has more than three parts")).sql_state("42601")),
    }
}

/// What a call is told apart by: its arguments as they are written.
fn join(arguments: &[FunctionArg]) -> String {
    arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The text of a literal: option values may be written as texts, numbers or booleans.
fn text_of(expr: &Expr) -> Result<String> {
    match expr {
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => return Ok(text.clone()),
            Value::Number(..) | Value::Boolean(_) => return Ok(value.to_string()),
            _ => {}
        },
        Expr::Cast { expr, .. } => return text_of(expr),
        _ => {}
    }
    Err(Problem::invalid(format!("{expr} is not a constant"))
        .hint("options of read_files are texts, numbers or booleans"))
}

fn missing(name: &FullName) -> Problem {
    crannog_security::caller::not_found(&crannog_security::Reference::Named(
        crannog_security::Kind::Table,
        name.clone(),
    ))
}

/// What a reader of a view is told when the view's owner lost a right: not what the view reads.
pub(super) fn in_view(view: &FullName, problem: Problem) -> Problem {
    match problem.code() {
        Code::PermissionDenied | Code::NotFound => Problem::new(
            Code::FailedPrecondition,
            format!("the view {view} reads what its owner may not read any more"),
        )
        .reason("VIEW_INVALID")
        .sql_state("42501")
        .hint("its owner has to be granted it, or the view to be replaced")
        .caused_by(problem),
        _ => problem,
    }
}

/// The name that a path has in a query: `` path.`/Volumes/…` ``.
pub(super) fn path_name(path: &str) -> Name {
    Name(vec![PATH_SCHEME.to_owned(), path.to_owned()])
}
