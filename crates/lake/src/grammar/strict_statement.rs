//! The strict walk over our own statements: every query and expression in them, again without `..`.

use super::{
    cursor::Result,
    statement::{
        AddColumn, Alter, Assignment, Change, ColumnChange, ColumnDefinition, ColumnMask, ConstraintKind, CopyInto,
        CopySource, CreateFunction, CreateTable, CreateView, Delete, Describe, Explain, FunctionParameter, Generated,
        Insert, MaskArgument, Merge, MergeAction, MergeClause, Optimize, Restore, Set, SourceExpr, Statement,
        TableConstraint, TableVersion, TimeZone, Update,
    },
    strict::Strict,
};

impl Strict<'_> {
    pub(super) fn statement(&mut self, statement: &mut Statement) -> Result<()> {
        match statement {
            Statement::Query(query) | Statement::Describe(Describe::Query(query)) => self.query(query),
            Statement::Explain(Explain { mode: _, statement }) => self.statement(statement),
            Statement::Insert(insert) => self.insert(insert),
            Statement::CopyInto(CopyInto {
                source,
                table: _,
                columns: _,
                file_format: _,
                files: _,
                pattern: _,
                format_options: _,
                copy_options: _,
            }) => match source {
                CopySource::Path(_) => Ok(()),
                CopySource::Query { query, path: _ } => self.query(query),
            },
            Statement::Delete(Delete { table: _, alias: _, condition }) => self.optional(condition),
            Statement::Update(Update { table: _, alias: _, assignments, condition }) => {
                self.assignments(assignments)?;
                self.optional(condition)
            }
            Statement::Merge(merge) => self.merge(merge),
            Statement::CreateTable(table) => self.create_table(table),
            Statement::CreateView(view) => {
                let CreateView {
                    name: _,
                    or_replace: _,
                    if_not_exists: _,
                    temporary: _,
                    columns: _,
                    comment: _,
                    properties: _,
                    query,
                    text: _,
                } = view.as_mut();
                self.stored(|walk| walk.query(query))
            }
            Statement::CreateFunction(function) => {
                let CreateFunction {
                    name: _,
                    or_replace: _,
                    if_not_exists: _,
                    temporary: _,
                    parameters,
                    returns: _,
                    comment: _,
                    deterministic: _,
                    body,
                } = function.as_mut();
                for FunctionParameter { name: _, data_type: _, default, comment: _ } in parameters {
                    self.optional_source(default)?;
                }
                self.source(body)
            }
            Statement::Alter(Alter { kind: _, name: _, change }) => self.change(change),
            Statement::Set(Set::TimeZone(TimeZone::Offset(offset))) => self.expr(offset),
            Statement::Optimize(Optimize { table: _, full: _, condition, zorder_by: _ }) => self.optional(condition),
            Statement::Restore(Restore { table: _, to: TableVersion::Timestamp(timestamp) }) => self.expr(timestamp),
            Statement::Restore(Restore { table: _, to: TableVersion::Version(_) })
            | Statement::Set(
                Set::ShowAll | Set::Show(_) | Set::Value { .. } | Set::TimeZone(TimeZone::Local | TimeZone::Named(_)),
            )
            | Statement::Describe(
                Describe::Table { .. }
                | Describe::Column { .. }
                | Describe::History { .. }
                | Describe::Detail { .. }
                | Describe::Catalog { .. }
                | Describe::Schema { .. }
                | Describe::Volume { .. }
                | Describe::Function { .. },
            )
            | Statement::Truncate(_)
            | Statement::CloneTable(_)
            | Statement::CreateSchema(_)
            | Statement::CreateCatalog(_)
            | Statement::CreateVolume(_)
            | Statement::Drop(_)
            | Statement::CommentOn(_)
            | Statement::Grant(_)
            | Statement::Revoke(_)
            | Statement::ShowGrants(_)
            | Statement::Show(_)
            | Statement::Use(_)
            | Statement::Reset(_)
            | Statement::Vacuum(_)
            | Statement::Analyze(_)
            | Statement::RefreshTable(_) => Ok(()),
        }
    }

    fn stored(&mut self, walk: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        self.visit.stored(true);
        let result = walk(self);
        self.visit.stored(false);
        result
    }

    fn source(&mut self, source: &mut SourceExpr) -> Result<()> {
        let SourceExpr { expr, text: _ } = source;
        self.stored(|walk| walk.expr(expr))
    }

    fn optional_source(&mut self, source: &mut Option<SourceExpr>) -> Result<()> {
        source.as_mut().map_or(Ok(()), |source| self.source(source))
    }

    fn insert(&mut self, insert: &mut Insert) -> Result<()> {
        let Insert { table: _, columns: _, overwrite: _, by_name: _, replace_where, partition, source } = insert;
        self.optional(replace_where)?;
        for (_, value) in partition {
            self.optional(value)?;
        }
        self.query(source)
    }

    fn assignments(&mut self, assignments: &mut [Assignment]) -> Result<()> {
        assignments.iter_mut().try_for_each(|Assignment { column: _, value }| self.expr(value))
    }

    fn merge(&mut self, merge: &mut Merge) -> Result<()> {
        let Merge { target: _, target_alias: _, source, source_alias: _, condition, clauses, schema_evolution: _ } =
            merge;
        self.query(source)?;
        self.expr(condition)?;
        for MergeClause { when: _, condition, action } in clauses {
            self.optional(condition)?;
            match action {
                MergeAction::Delete | MergeAction::UpdateAll | MergeAction::InsertAll => {}
                MergeAction::Update(assignments) => self.assignments(assignments)?,
                MergeAction::Insert { columns: _, values } => self.exprs(values)?,
            }
        }
        Ok(())
    }

    fn create_table(&mut self, table: &mut CreateTable) -> Result<()> {
        let CreateTable {
            name: _,
            or_replace: _,
            if_not_exists: _,
            external: _,
            columns,
            constraints,
            using: _,
            partitioned_by: _,
            cluster_by: _,
            location: _,
            comment: _,
            properties: _,
            options: _,
            query,
            like: _,
        } = table;
        columns.iter_mut().try_for_each(|column| self.column(column))?;
        constraints.iter_mut().try_for_each(|constraint| self.constraint(constraint))?;
        query.as_mut().map_or(Ok(()), |query| self.query(query))
    }

    fn column(&mut self, column: &mut ColumnDefinition) -> Result<()> {
        let ColumnDefinition { name: _, data_type: _, not_null: _, comment: _, default, generated, mask } = column;
        self.optional_source(default)?;
        match generated {
            Some(Generated::Expression(expression)) => self.source(expression)?,
            None | Some(Generated::Identity { always: _, start: _, increment: _ }) => {}
        }
        mask.as_mut().map_or(Ok(()), |mask| self.mask(mask))
    }

    fn mask(&mut self, mask: &mut ColumnMask) -> Result<()> {
        let ColumnMask { function: _, using_columns } = mask;
        self.mask_arguments(using_columns)
    }

    fn mask_arguments(&mut self, arguments: &mut [MaskArgument]) -> Result<()> {
        arguments.iter_mut().try_for_each(|argument| match argument {
            MaskArgument::Column(_) => Ok(()),
            MaskArgument::Literal(expr) => self.stored(|walk| walk.expr(expr)),
        })
    }

    fn constraint(&mut self, constraint: &mut TableConstraint) -> Result<()> {
        let TableConstraint { name: _, kind } = constraint;
        match kind {
            ConstraintKind::Check(expression) => self.source(expression),
            ConstraintKind::PrimaryKey { .. } | ConstraintKind::ForeignKey { .. } => Ok(()),
        }
    }

    fn change(&mut self, change: &mut Change) -> Result<()> {
        match change {
            Change::AddColumns { columns, if_not_exists: _ } => columns
                .iter_mut()
                .try_for_each(|AddColumn { path: _, definition, position: _ }| self.column(definition)),
            Change::AlterColumn { column: _, change } => self.column_change(change),
            Change::AddConstraint(constraint) => self.constraint(constraint),
            Change::SetRowFilter(filter) => self.mask_arguments(&mut filter.on),
            Change::ViewQuery { query, text: _ } => self.stored(|walk| walk.query(query)),
            Change::RenameTo(_)
            | Change::SetOwner(_)
            | Change::SetProperties(_)
            | Change::UnsetProperties { .. }
            | Change::SetTags(_)
            | Change::UnsetTags(_)
            | Change::SetManagedLocation(_)
            | Change::DropColumns { .. }
            | Change::RenameColumn { .. }
            | Change::ClusterBy(_)
            | Change::DropConstraint { .. }
            | Change::DropPrimaryKey { .. }
            | Change::DropRowFilter => Ok(()),
        }
    }

    fn column_change(&mut self, change: &mut ColumnChange) -> Result<()> {
        match change {
            ColumnChange::SetDefault(default) => self.source(default),
            ColumnChange::SetMask(mask) => self.mask(mask),
            ColumnChange::SetType(_)
            | ColumnChange::SetNotNull
            | ColumnChange::DropNotNull
            | ColumnChange::SetComment(_)
            | ColumnChange::DropDefault
            | ColumnChange::Move(_)
            | ColumnChange::DropMask
            | ColumnChange::SetTags(_)
            | ColumnChange::UnsetTags(_)
            | ColumnChange::SyncIdentity => Ok(()),
        }
    }
}
