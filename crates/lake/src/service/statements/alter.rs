//! ALTER, COMMENT ON and DROP: of the catalog's objects through governance's verbs, of a table's metadata by a version of its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use crannog_governance::model::objects::{Change as ObjectChange, TableType};
use crannog_governance::service::{
    catalogs as catalog_verbs, schemas as schema_verbs, tables as table_verbs, volumes as volume_verbs,
};
use crannog_security::NameOf;
use crannog_security::actions::{catalogs, schemas, tables, volumes};
use crannog_storage::{Access, Location};
use crannog_store::until_won;
use crannog_types::{Code, FullName, Problem, Result};

use super::answer::Answer;
use super::create::{field_of, no_column};
use super::{Run, not_yet};
use crate::grammar::Name;
use crate::grammar::statement::{AddColumn, Alter, Change, ColumnChange, CommentOn, CommentTarget, Drop, ObjectKind};
use crate::model::actions::{Action, Metadata};
use crate::model::commit::Operation;
use crate::model::conflicts::Reads;
use crate::model::features;
use crate::model::schema::StructType;
use crate::service::arbiter::Plan;

impl Run {
    pub(super) async fn drop(&self, drop: Drop) -> Result<Answer> {
        let governance = &self.lake.governance;
        let dropped = async {
            match drop.kind {
                ObjectKind::Catalog => {
                    let name = FullName::of(drop.name.parts().to_vec());
                    let permit = self.caller.ask::<catalogs::Manage>(NameOf::named(name)).await?;
                    catalog_verbs::delete(governance, &permit, drop.cascade).await
                }
                ObjectKind::Schema => {
                    let name = self.schema_name(Some(&drop.name))?;
                    let permit = self.caller.ask::<schemas::Manage>(NameOf::named(name)).await?;
                    schema_verbs::delete(governance, &permit, drop.cascade).await
                }
                ObjectKind::Volume => {
                    let permit = self.caller.ask::<volumes::Manage>(NameOf::named(self.full_name(&drop.name)?)).await?;
                    volume_verbs::delete(governance, &permit).await
                }
                ObjectKind::Table | ObjectKind::View => {
                    let permit = self.caller.ask::<tables::Manage>(NameOf::named(self.full_name(&drop.name)?)).await?;
                    let table = table_verbs::get(&governance.db, &permit).await?;
                    let is_view = table.table_type == TableType::View;
                    if is_view != (drop.kind == ObjectKind::View) {
                        let (is, say) = if is_view { ("view", "DROP VIEW") } else { ("table", "DROP TABLE") };
                        return Err(Problem::invalid(format!("{} is a {is}", permit.target().name))
                            .reason("WRONG_COMMAND_FOR_OBJECT_TYPE")
                            .sql_state("42809")
                            .hint(format!("use {say}")));
                    }
                    table_verbs::delete(governance, &permit).await?;
                    self.lake.follower.forget(permit.target().id);
                    if let Some(location) = table.location {
                        self.lake.arbiter.forget(&Location::parse(&location)?);
                    }
                    Ok(())
                }
                ObjectKind::Function => Err(not_yet("DROP FUNCTION")),
            }
        };
        match dropped.await {
            Err(problem) if drop.if_exists && problem.code() == Code::NotFound => Ok(Answer::nothing()),
            outcome => outcome.map(|()| Answer::nothing()),
        }
    }

    pub(super) async fn alter(&self, alter: Alter) -> Result<Answer> {
        let change = match &alter.change {
            Change::RenameTo(to) => {
                let new = match alter.kind {
                    ObjectKind::Catalog => FullName::of(to.parts().to_vec()),
                    ObjectKind::Schema => self.schema_name(Some(to))?,
                    _ => self.full_name(&to_sibling(&alter.name, to))?,
                };
                ObjectChange { new_name: Some(new.last().to_owned()), ..ObjectChange::default() }
            }
            Change::SetOwner(owner) => ObjectChange { owner: Some(owner.clone()), ..ObjectChange::default() },
            Change::SetProperties(properties) if alter.kind == ObjectKind::Table => {
                return self.set_properties(&alter.name, properties.clone(), &[], false).await;
            }
            Change::UnsetProperties { keys, if_exists } if alter.kind == ObjectKind::Table => {
                return self.set_properties(&alter.name, Vec::new(), keys, *if_exists).await;
            }
            Change::AlterColumn { column, change: ColumnChange::SetComment(comment) }
                if alter.kind == ObjectKind::Table =>
            {
                return self.comment_on_column(&alter.name, column, Some(comment)).await;
            }
            Change::AddColumns { columns, if_not_exists } => {
                return self.add_columns(&alter.name, columns, *if_not_exists).await;
            }
            other => return Err(not_yet(&format!("ALTER {} … {}", alter.kind.name(), word_of(other)))),
        };
        self.change_object(alter.kind, &alter.name, &change).await
    }

    async fn change_object(&self, kind: ObjectKind, name: &Name, change: &ObjectChange) -> Result<Answer> {
        until_won(|| self.change_object_once(kind, name, change)).await
    }

    async fn change_object_once(&self, kind: ObjectKind, name: &Name, change: &ObjectChange) -> Result<Answer> {
        let db = &self.lake.governance.db;
        match kind {
            ObjectKind::Catalog => {
                let permit =
                    self.caller.ask::<catalogs::Manage>(NameOf::named(FullName::of(name.parts().to_vec()))).await?;
                catalog_verbs::update(db, &permit, change).await?;
            }
            ObjectKind::Schema => {
                let permit = self.caller.ask::<schemas::Manage>(NameOf::named(self.schema_name(Some(name))?)).await?;
                schema_verbs::update(db, &permit, change).await?;
            }
            ObjectKind::Table | ObjectKind::View => {
                let permit = self.caller.ask::<tables::Manage>(NameOf::named(self.full_name(name)?)).await?;
                table_verbs::update(db, &permit, change).await?;
            }
            ObjectKind::Volume => {
                let permit = self.caller.ask::<volumes::Manage>(NameOf::named(self.full_name(name)?)).await?;
                volume_verbs::update(db, &permit, change).await?;
            }
            ObjectKind::Function => return Err(not_yet("ALTER FUNCTION")),
        }
        Ok(Answer::nothing())
    }

    pub(super) async fn comment_on(&self, on: CommentOn) -> Result<Answer> {
        let comment = on.comment.clone().unwrap_or_default();
        match on.target {
            CommentTarget::Object(kind, name) => {
                let change = ObjectChange { comment: Some(comment), ..ObjectChange::default() };
                self.change_object(kind, &name, &change).await
            }
            CommentTarget::Column(table, column) => {
                self.comment_on_column(&table, &[column], on.comment.as_deref()).await
            }
        }
    }

    async fn set_properties(
        &self,
        name: &Name,
        set: Vec<(String, String)>,
        unset: &[String],
        if_exists: bool,
    ) -> Result<Answer> {
        let operation = if unset.is_empty() {
            Operation::SetTableProperties { properties: set.iter().cloned().collect() }
        } else {
            Operation::UnsetTableProperties { properties: unset.to_vec(), if_exists }
        };
        self.change_metadata(name, operation, |metadata, _| {
            for key in unset {
                if metadata.configuration.remove(key).is_none() && !if_exists {
                    return Err(Problem::invalid(format!("the table has no property {key:?}"))
                        .sql_state("42K0J")
                        .hint("add IF EXISTS to let that pass"));
                }
            }
            metadata.configuration.extend(set);
            Ok(())
        })
        .await
    }

    async fn comment_on_column(&self, name: &Name, column: &[String], comment: Option<&str>) -> Result<Answer> {
        let [column] = column else { return Err(not_yet("a comment on a field of a struct")) };
        let operation = Operation::ChangeColumn { column: serde_json::json!({ "name": column, "comment": comment }) };
        self.change_metadata(name, operation, |metadata, schema| {
            let mut schema = schema.clone();
            let field = schema
                .fields
                .iter_mut()
                .find(|field| field.name.eq_ignore_ascii_case(column))
                .ok_or_else(|| no_column(column))?;
            match comment {
                Some(comment) => field.metadata.insert("comment".to_owned(), comment.into()),
                None => field.metadata.remove("comment"),
            };
            metadata.schema_string = schema.to_schema_string();
            Ok(())
        })
        .await
    }

    async fn add_columns(&self, name: &Name, columns: &[AddColumn], if_not_exists: bool) -> Result<Answer> {
        let mut added = Vec::new();
        for column in columns {
            if column.path.len() != 1 || column.position.is_some() {
                return Err(not_yet("ADD COLUMN inside a struct or at a position"));
            }
            let field = field_of(&column.definition)?;
            if !field.nullable {
                return Err(Problem::invalid(format!(
                    "the new column {} is NOT NULL, and old rows have no value for it",
                    field.name
                ))
                .sql_state("42K0K")
                .hint("add it without NOT NULL"));
            }
            added.push(field);
        }
        let described = added.iter().map(|field| serde_json::json!({ "column": field.to_json() })).collect();
        let operation = Operation::AddColumns { columns: described };
        self.change_metadata(name, operation, |metadata, schema| {
            let mut fields = schema.fields.clone();
            for field in added {
                let there = fields.iter().any(|known| known.name.eq_ignore_ascii_case(&field.name));
                match (there, if_not_exists) {
                    (true, true) => {}
                    (true, false) => {
                        return Err(Problem::new(
                            Code::AlreadyExists,
                            format!("the table has a column {} already", field.name),
                        )
                        .reason("FIELD_ALREADY_EXISTS")
                        .sql_state("42710"));
                    }
                    (false, _) => fields.push(field),
                }
            }
            metadata.schema_string = StructType::new(fields)?.to_schema_string();
            Ok(())
        })
        .await
    }

    /// One more version of a table's log that changes its metadata.
    async fn change_metadata(
        &self,
        name: &Name,
        operation: Operation,
        change: impl FnOnce(&mut Metadata, &StructType) -> Result<()>,
    ) -> Result<Answer> {
        let permit = self.caller.ask::<tables::Manage>(NameOf::named(self.full_name(name)?)).await?;
        let table = table_verbs::get(&self.lake.governance.db, &permit).await?;
        let (folder, state) = self.open_table_for(&permit, &table, Access::ReadWrite).await?;
        let mut metadata = (*state.metadata).clone();
        change(&mut metadata, &state.schema)?;
        let schema = StructType::from_schema_string(&metadata.schema_string)?;
        let protocol = features::upgraded(&state.protocol, &schema, &metadata)?;
        let mut actions = vec![Action::Metadata(metadata)];
        if protocol != *state.protocol {
            actions.push(Action::Protocol(protocol));
        }
        let metrics = BTreeMap::new();
        let plan = Plan { read: Arc::clone(&state), reads: Reads::Nothing, operation, metrics, actions };
        let none = self.lake.arbiter.no_files(&folder);
        self.commit(permit.target().id, &folder, plan, none, true).await?;
        self.note_written(permit.target().id, &permit.target().name, None);
        Ok(Answer::nothing())
    }
}

/// `ALTER TABLE a.b.t RENAME TO u` means `a.b.u`.
fn to_sibling(name: &Name, to: &Name) -> Name {
    let mut parts = name.parts().to_vec();
    match (parts.last_mut(), to.parts()) {
        (Some(last), [new]) => {
            last.clone_from(new);
            Name(parts)
        }
        _ => to.clone(),
    }
}

fn word_of(change: &Change) -> &'static str {
    match change {
        Change::RenameTo(_) => "RENAME",
        Change::SetOwner(_) => "OWNER TO",
        Change::SetProperties(_) => "SET TBLPROPERTIES",
        Change::UnsetProperties { .. } => "UNSET TBLPROPERTIES",
        Change::SetTags(_) => "SET TAGS",
        Change::UnsetTags(_) => "UNSET TAGS",
        Change::SetManagedLocation(_) => "SET MANAGED LOCATION",
        Change::AddColumns { .. } => "ADD COLUMNS",
        Change::DropColumns { .. } => "DROP COLUMNS",
        Change::RenameColumn { .. } => "RENAME COLUMN",
        Change::AlterColumn { .. } => "ALTER COLUMN",
        Change::ClusterBy(_) => "CLUSTER BY",
        Change::AddConstraint(_) => "ADD CONSTRAINT",
        Change::DropConstraint { .. } => "DROP CONSTRAINT",
        Change::DropPrimaryKey { .. } => "DROP PRIMARY KEY",
        Change::SetRowFilter(_) => "SET ROW FILTER",
        Change::DropRowFilter => "DROP ROW FILTER",
        Change::ViewQuery { .. } => "AS",
    }
}
