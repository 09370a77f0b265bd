//! CREATE, and CREATE OR REPLACE.
//!
//! What is accepted takes effect; what has no effect here is refused by name.

use crannog_governance::model::objects::{Properties, TableType, View};
use crannog_governance::service::catalogs as catalog_verbs;
use crannog_governance::service::containers::NewContainer;
use crannog_governance::service::locations;
use crannog_governance::service::tables::{self as table_verbs, Files, NewTable};
use crannog_governance::service::{schemas as schema_verbs, volumes as volume_verbs};
use crannog_security::actions::{catalogs, metastore, schemas, tables};
use crannog_security::{NameOf, Permit};
use crannog_storage::{Access, Folder, Location, Managed};
use crannog_store::until_won;
use crannog_types::{Code, FullName, Problem, Result, SecurableId};
use futures::stream;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::answer::Answer;
use super::column_types::delta_field;
use super::write::rows_of;
use super::{Lake, Run, TableWrite, not_yet};
use crate::grammar::statement::{CreateCatalog, CreateSchema, CreateTable, CreateView, CreateVolume};
use crate::model::actions::{Action, Format, Metadata};
use crate::model::commit::{Operation, TableDescription};
use crate::model::conflicts::Reads;
use crate::model::features;
use crate::model::schema::{StructField, StructType};
use crate::ports::{RowStream, WriteSpec};
use crate::service::arbiter::{Arbiter, Author, NewFiles, Plan, delete_files, may_be_committed, until, write_metrics};

/// The property in which a view keeps the names of its columns, when it was made with any.
pub(super) const VIEW_COLUMNS: &str = "crannog.view.columns";

impl Run {
    pub(super) async fn create_table(&self, create: CreateTable) -> Result<Answer> {
        refuse_what_has_no_effect(&create)?;
        let name = self.full_name(&create.name)?;
        let existing = self.existing(&name).await?;
        if existing && create.if_not_exists {
            return Ok(Answer::nothing());
        }
        let permit = self.caller.ask::<schemas::CreateTable>(NameOf::named(parent(&name))).await?;
        let properties: Properties = create.properties.iter().cloned().collect();
        let (schema, rows): (StructType, Option<RowStream>) = match create.query {
            Some(query) => {
                let prepared = self.prepare(*query, None).await?;
                let schema = StructType::from_arrow(&prepared.schema()).map_err(Problem::from)?;
                (StructType::new(schema.fields)?, Some(prepared.run().await?))
            }
            None => (columns_of(&create.columns)?, None),
        };
        let metadata = Metadata {
            id: Uuid::new_v4().to_string(),
            name: None,
            description: create.comment.clone(),
            format: Format::default(),
            schema_string: schema.to_schema_string(),
            partition_columns: partition_columns(&schema, &create.partitioned_by)?,
            configuration: properties.clone(),
            created_time: Some(self.session.now.millis()),
        };
        if existing && create.or_replace {
            return self.replace_table(&name, schema, metadata, rows).await;
        }
        let made = NewDelta {
            name: name.last().to_owned(),
            comment: create.comment,
            properties,
            as_select: rows.is_some(),
            schema,
            metadata,
            version: 0,
        };
        let (id, written) = match create.location {
            Some(location) => self.create_external(permit, made, &location, rows).await?,
            None => self.create_managed(permit, made, rows).await?,
        };
        self.note_written(id, &name, written);
        match written {
            Some(written) => Answer::changed(written, written),
            None => Ok(Answer::nothing()),
        }
    }

    /// Where the caller stops waiting, the rows end, and what was begun is taken back at once.
    async fn create_managed(
        &self,
        permit: Permit<schemas::CreateTable>,
        new: NewDelta,
        rows: Option<RowStream>,
    ) -> Result<(SecurableId, Option<i64>)> {
        let stop = CancellationToken::new();
        let waiting = stop.clone().drop_guard();
        let rows = rows.map(|rows| until(stop.clone(), rows));
        let (lake, author) = (self.lake.clone(), self.author());
        let made = async move { make_managed(&lake, &permit, new, rows, &author, &stop).await };
        let written = self.lake.follower.to_its_end(&self.caller, made).await;
        waiting.disarm();
        written
    }

    /// CREATE OR REPLACE of a table that is there: one more version of its log, with everything new.
    async fn replace_table(
        &self,
        name: &FullName,
        schema: StructType,
        mut metadata: Metadata,
        rows: Option<RowStream>,
    ) -> Result<Answer> {
        let governance = &self.lake.governance;
        let permit = self.caller.ask::<tables::Manage>(NameOf::named(name.clone())).await?;
        let table = table_verbs::get(&governance.db, &permit).await?;
        let (folder, state) = self.open_table_for(&permit, &table, Access::ReadWrite).await?;
        metadata.id.clone_from(&state.metadata.id);
        let as_select = rows.is_some();
        let spec = WriteSpec { schema: schema.clone(), metadata: metadata.clone(), now: crannog_kit::clock::now() };
        let rows = rows.unwrap_or_else(|| Box::pin(stream::empty()));
        let files = self.lake.arbiter.write(&folder, spec, rows).await?;
        let adds = files.adds();
        let protocol = features::upgraded(&state.protocol, &schema, &metadata)?;
        let now = crannog_kit::clock::now().millis();
        let mut actions = vec![Action::Metadata(metadata.clone())];
        if protocol != *state.protocol {
            actions.push(Action::Protocol(protocol));
        }
        actions.extend(state.files.iter().map(|add| Action::Remove(add.to_remove(now, true))));
        actions.extend(adds.iter().cloned().map(Action::Add));
        let table = TableDescription::of(&metadata, table.table_type == TableType::Managed);
        let plan = Plan {
            read: state,
            reads: Reads::WholeTable,
            operation: Operation::ReplaceTable { table, or_create: true, as_select },
            metrics: write_metrics(adds),
            actions,
        };
        let written = rows_of(adds);
        self.commit(permit.target().id, &folder, plan, files, true).await?;
        self.note_written(permit.target().id, &permit.target().name, as_select.then_some(written));
        if as_select { Answer::changed(written, written) } else { Ok(Answer::nothing()) }
    }

    pub(super) async fn create_view(&self, create: CreateView) -> Result<Answer> {
        if create.temporary {
            return Err(not_yet("CREATE TEMPORARY VIEW").hint(
                "each statement is a session of its own, so no other could read the view: use WITH, or CREATE VIEW",
            ));
        }
        let name = self.full_name(&create.name)?;
        let existing = self.existing(&name).await?;
        if existing && create.if_not_exists {
            return Ok(Answer::nothing());
        }
        let prepared = self.prepare(*create.query, None).await?;
        let mut schema = StructType::from_arrow(&prepared.schema())?;
        let mut properties: Properties = create.properties.into_iter().collect();
        if !create.columns.is_empty() {
            if create.columns.len() != schema.fields.len() {
                return Err(Problem::invalid(format!(
                    "the view names {} columns, and its query has {}",
                    create.columns.len(),
                    schema.fields.len()
                ))
                .reason("CREATE_VIEW_COLUMN_ARITY_MISMATCH")
                .sql_state("21S01"));
            }
            for (field, column) in schema.fields.iter_mut().zip(&create.columns) {
                field.name.clone_from(&column.name);
                if let Some(comment) = &column.comment {
                    field.metadata.insert("comment".to_owned(), comment.clone().into());
                }
            }
            let names: Vec<&str> = create.columns.iter().map(|column| column.name.as_str()).collect();
            properties.insert(VIEW_COLUMNS.to_owned(), serde_json::json!(names).to_string());
        }
        let schema = StructType::new(schema.fields)?;
        let new = NewTable {
            name: name.last().to_owned(),
            comment: create.comment,
            schema_json: schema.to_schema_string(),
            partition_columns: Vec::new(),
            properties,
            version: None,
            files: Files::View(View {
                text: create.text,
                catalog: self.session.catalog.clone(),
                schema: self.session.schema.clone(),
            }),
        };
        let db = &self.lake.governance.db;
        let made = if existing && create.or_replace {
            let permit = self.caller.ask::<tables::Manage>(NameOf::named(name)).await?;
            table_verbs::replace_view(db, &permit, &new).await?
        } else {
            let permit = self.caller.ask::<schemas::CreateTable>(NameOf::named(parent(&name))).await?;
            table_verbs::create(db, &permit, &new).await?
        };
        self.note(TableWrite { id: made.object.id, name: made.object.name, rows: None, view: true });
        Ok(Answer::nothing())
    }

    pub(super) async fn create_schema(&self, create: CreateSchema) -> Result<Answer> {
        if create.managed_location.is_some() {
            return Err(not_yet("MANAGED LOCATION"));
        }
        let name = self.schema_name(Some(&create.name))?;
        let permit = self.caller.ask::<catalogs::CreateSchema>(NameOf::named(parent(&name))).await?;
        let new = NewContainer {
            name: name.last().to_owned(),
            comment: create.comment,
            properties: create.properties.into_iter().collect(),
        };
        let made = schema_verbs::create(&self.lake.governance.db, &permit, &new).await;
        unless_there(made.map(|_| ()), create.if_not_exists)
    }

    pub(super) async fn create_catalog(&self, create: CreateCatalog) -> Result<Answer> {
        if create.managed_location.is_some() {
            return Err(not_yet("MANAGED LOCATION"));
        }
        let permit = self.caller.ask::<metastore::CreateCatalog>(NameOf::root()).await?;
        let name = create.name.parts().join(".");
        let new = NewContainer { name, comment: create.comment, properties: Properties::new() };
        let made = catalog_verbs::create(&self.lake.governance.db, &permit, &new).await;
        unless_there(made.map(|_| ()), create.if_not_exists)
    }

    pub(super) async fn create_volume(&self, create: CreateVolume) -> Result<Answer> {
        let name = self.full_name(&create.name)?;
        let location = match &create.external_location {
            Some(text) => {
                self.caller.ask::<metastore::Administer>(NameOf::root()).await?;
                let location = Location::parse(text)?;
                self.lake.governance.storage.check_external(&location)?;
                Some(location)
            }
            None => None,
        };
        let permit = self.caller.ask::<schemas::CreateVolume>(NameOf::named(parent(&name))).await?;
        let governance = &self.lake.governance;
        let comment = create.comment.as_deref();
        let made = volume_verbs::create(governance, &permit, name.last(), comment, location.as_ref()).await;
        unless_there(made.map(|_| ()), create.if_not_exists)
    }

    /// Whether a table or view of this name is there, as far as the caller may know.
    async fn existing(&self, name: &FullName) -> Result<bool> {
        match self.caller.ask::<tables::ReadMetadata>(NameOf::named(name.clone())).await {
            Ok(_) => Ok(true),
            Err(problem) if matches!(problem.code(), Code::NotFound | Code::PermissionDenied) => Ok(false),
            Err(problem) => Err(problem),
        }
    }
}

/// A Delta table that is about to be made.
pub(super) struct NewDelta {
    pub(super) name: String,
    pub(super) comment: Option<String>,
    pub(super) properties: Properties,
    pub(super) schema: StructType,
    pub(super) metadata: Metadata,
    pub(super) as_select: bool,
    /// The version of its log that the catalog knows: those after it are recorded as they are seen.
    pub(super) version: i64,
}

/// A folder under an intent, the table's files in it, and the row that closes the intent; or nothing of these.
async fn make_managed(
    lake: &Lake,
    permit: &Permit<schemas::CreateTable>,
    new: NewDelta,
    rows: Option<RowStream>,
    author: &Author,
    stop: &CancellationToken,
) -> Result<(SecurableId, Option<i64>)> {
    let governance = &lake.governance;
    let place = locations::begin_managed(governance, permit, Managed::Tables).await?;
    let outcome = async {
        let folder = governance.storage.open(permit, &place.location, Access::ReadWrite)?;
        let files = first_files(&lake.arbiter, &folder, &new, rows).await?;
        if stop.is_cancelled() {
            return Err(Problem::new(Code::Cancelled, "nobody waits for the table any more"));
        }
        let written = new.as_select.then(|| rows_of(files.adds()));
        write_first(&lake.arbiter, &folder, &new, true, author, files).await?;
        Ok(written)
    };
    let written = match outcome.await {
        Ok(written) => written,
        Err(problem) => {
            locations::abandon(governance, permit, place).await;
            return Err(problem);
        }
    };
    let row = new.row(Files::Managed(place));
    let made = until_won(|| table_verbs::create(&governance.db, permit, &row)).await;
    if let (Err(_), Files::Managed(place)) = (&made, row.files) {
        lake.arbiter.forget(&place.location);
        locations::abandon(governance, permit, place).await;
    }
    made.map(|table| (table.object.id, written))
}

/// The data files of a new table, when it is made with rows.
pub(super) async fn first_files(
    arbiter: &Arbiter,
    folder: &Folder,
    new: &NewDelta,
    rows: Option<RowStream>,
) -> Result<NewFiles> {
    let Some(rows) = rows else { return Ok(arbiter.no_files(folder)) };
    let (schema, metadata) = (new.schema.clone(), new.metadata.clone());
    arbiter.write(folder, WriteSpec { schema, metadata, now: crannog_kit::clock::now() }, rows).await
}

/// Writes version 0; if it surely failed, its data files are deleted.
pub(super) async fn write_first(
    arbiter: &Arbiter,
    folder: &Folder,
    new: &NewDelta,
    managed: bool,
    author: &Author,
    files: NewFiles,
) -> Result<()> {
    let protocol = features::protocol_for(&new.schema, &new.metadata)?;
    let description = TableDescription::of(&new.metadata, managed);
    let operation =
        if new.as_select { Operation::CreateTableAsSelect(description) } else { Operation::CreateTable(description) };
    let mut actions = vec![Action::Protocol(protocol), Action::Metadata(new.metadata.clone())];
    let adds = files.into_commit();
    actions.extend(adds.iter().cloned().map(Action::Add));
    if let Err(problem) = arbiter.create(folder, &operation, author, actions).await {
        if !may_be_committed(&problem) {
            delete_files(folder, &adds).await;
        }
        return Err(problem);
    }
    Ok(())
}

impl NewDelta {
    pub(super) fn row(&self, files: Files) -> NewTable {
        NewTable {
            name: self.name.clone(),
            comment: self.comment.clone(),
            schema_json: self.schema.to_schema_string(),
            partition_columns: self.metadata.partition_columns.clone(),
            properties: self.properties.clone(),
            version: Some(self.version),
            files,
        }
    }
}

fn parent(name: &FullName) -> FullName {
    let parts = name.parts();
    FullName::of(parts[..parts.len().saturating_sub(1)].to_vec())
}

fn unless_there(made: Result<()>, if_not_exists: bool) -> Result<Answer> {
    match made {
        Err(problem) if if_not_exists && problem.code() == Code::AlreadyExists => Ok(Answer::nothing()),
        made => made.map(|()| Answer::nothing()),
    }
}

pub(super) fn no_column(column: &str) -> Problem {
    Problem::invalid(format!("the table has no column {column:?}")).reason("UNRESOLVED_COLUMN").sql_state("42703")
}

fn columns_of(definitions: &[crate::grammar::statement::ColumnDefinition]) -> Result<StructType> {
    let fields = definitions.iter().map(field_of).collect::<Result<Vec<_>>>()?;
    Ok(StructType::new(fields)?)
}

pub(super) fn field_of(definition: &crate::grammar::statement::ColumnDefinition) -> Result<StructField> {
    for (there, what) in [
        (definition.default.is_some(), "a DEFAULT of a column"),
        (definition.generated.is_some(), "a generated column"),
        (definition.mask.is_some(), "a MASK of a column"),
    ] {
        if there {
            return Err(not_yet(what));
        }
    }
    delta_field(&definition.name, &definition.data_type, definition.not_null, definition.comment.as_deref())
}

/// The columns of PARTITIONED BY, spelled as the table spells them.
fn partition_columns(schema: &StructType, wanted: &[String]) -> Result<Vec<String>> {
    let find = |name: &String| {
        let field = schema.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        field.map(|field| field.name.clone()).ok_or_else(|| no_column(name))
    };
    wanted.iter().map(find).collect()
}

fn refuse_what_has_no_effect(create: &CreateTable) -> Result<()> {
    if let Some(format) = &create.using
        && format != "delta"
    {
        return Err(not_yet(&format!("CREATE TABLE … USING {format}")).hint("tables are Delta tables; leave USING out"));
    }
    for (there, what) in [
        (!create.constraints.is_empty(), "a constraint of a table"),
        (create.cluster_by.is_some(), "CLUSTER BY"),
        (!create.options.is_empty(), "OPTIONS of a table"),
        (create.like.is_some(), "CREATE TABLE … LIKE"),
        (create.external && create.location.is_none(), "EXTERNAL without LOCATION"),
        (create.query.is_some() && !create.columns.is_empty(), "columns together with AS SELECT"),
    ] {
        if there {
            return Err(not_yet(what));
        }
    }
    if create.columns.is_empty() && create.query.is_none() && create.location.is_none() {
        return Err(Problem::invalid("a table needs columns, or AS SELECT, or the LOCATION of a Delta table")
            .sql_state("42601"));
    }
    Ok(())
}
