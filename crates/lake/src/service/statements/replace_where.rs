//! INSERT … REPLACE WHERE: the partitions that fulfil a condition are replaced by rows that all fulfil it.
//!
//! The condition is about the columns that the table is partitioned by, so that whole files go and none is rewritten. Which
//! partitions fulfil it the engine says, by a query over their values: the condition means what it means in SELECT.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType as ArrowType, Field, Schema};
use crannog_security::actions::tables;
use crannog_security::{Lease, NameOf};
use crannog_types::{Problem, Result};
use futures::StreamExt;
use sqlparser::ast::{Expr, SetExpr};

use super::Run;
use super::resolve::key_of;
use super::write::{Target, rows_of};
use crate::grammar::{self, Name};
use crate::model::actions::{Action, Add};
use crate::model::commit::{Operation, WriteMode};
use crate::model::conflicts::Reads;
use crate::model::state::TableState;
use crate::model::values::{Scalar, to_array};
use crate::ports::{Relation, RowStream};
use crate::service::arbiter::{Plan, write_metrics};

/// The values of a partition, as the log has them.
type Partition = BTreeMap<String, Option<String>>;

impl Run {
    /// A condition says something about the rows that are there, so it asks for what a query of them asks for.
    pub(super) async fn may_read(&self, table: &Name) -> Result<()> {
        let permit = self.caller.ask::<tables::Select>(NameOf::named(self.full_name(table)?)).await?;
        self.note_read(&permit, false, None);
        self.held.add(Lease::of(&self.caller, &permit), None);
        Ok(())
    }

    /// Gives how many rows were written.
    pub(super) async fn replace_where(&self, target: &Target, rows: RowStream, condition: &Expr) -> Result<i64> {
        let state = &target.state;
        // Before anything is written: a condition that cannot be decided leaves nothing.
        let before: BTreeSet<Partition> = state.files.iter().map(|add| add.partition_values.clone()).collect();
        let replaced = self.fulfilling(state, before, condition).await?;
        let files = self.write_files(&target.folder, state, rows).await?;
        let adds = files.adds();
        self.all_fulfil(state, adds, condition).await?;
        let now = crannog_kit::clock::now().millis();
        let gone = state.files.iter().filter(|add| replaced.contains(&add.partition_values));
        let removes: Vec<Action> = gone.map(|add| Action::Remove(add.to_remove(now, true))).collect();
        let written = rows_of(adds);
        let mut metrics = write_metrics(adds);
        metrics.insert("numRemovedFiles".to_owned(), i64::try_from(removes.len()).unwrap_or(i64::MAX));
        let plan = Plan {
            read: Arc::clone(state),
            reads: Reads::WholeTable,
            operation: Operation::Write {
                mode: WriteMode::Overwrite,
                partition_by: state.metadata.partition_columns.clone(),
                predicate: Some(condition.to_string()),
            },
            metrics,
            actions: removes.into_iter().chain(adds.iter().cloned().map(Action::Add)).collect(),
        };
        self.commit_files(target, plan, files).await?;
        Ok(written)
    }

    async fn all_fulfil(&self, state: &TableState, adds: &[Add], condition: &Expr) -> Result<()> {
        let given: BTreeSet<Partition> = adds.iter().map(|add| add.partition_values.clone()).collect();
        let fulfil = self.fulfilling(state, given.clone(), condition).await?;
        let Some(other) = given.difference(&fulfil).next() else { return Ok(()) };
        let value = |(column, value): (&String, &Option<String>)| match value {
            Some(value) => format!("{column} = {value}"),
            None => format!("{column} IS NULL"),
        };
        let other: Vec<String> = other.iter().map(value).collect();
        Err(Problem::invalid(format!("rows with {} do not fulfil the condition of REPLACE WHERE", other.join(", ")))
            .reason("DELTA_REPLACE_WHERE_MISMATCH")
            .sql_state("44000")
            .fact("condition", condition.to_string())
            .hint("leave such rows out, or widen the condition"))
    }

    /// Those partitions for which the condition is true.
    async fn fulfilling(
        &self,
        state: &TableState,
        partitions: BTreeSet<Partition>,
        condition: &Expr,
    ) -> Result<BTreeSet<Partition>> {
        let partitions: Vec<Partition> = partitions.into_iter().collect();
        let mut query = *grammar::parse_query("SELECT `#` FROM the_partitions")?;
        match query.body.as_mut() {
            SetExpr::Select(select) => select.selection = Some(condition.clone()),
            _ => return Err(Problem::internal("the condition cannot be decided", "its query was read as another")),
        }
        let key = key_of(&Name(vec!["the_partitions".to_owned()]), &self.session.catalog, &self.session.schema)?;
        let batch = values_of(state, &partitions)?;
        let schema = batch.schema();
        let relations = [(key, Relation::Rows(vec![batch], schema))].into();
        let columns = state.metadata.partition_columns.join(", ");
        let planned = self.plan(query, relations, None).await.map_err(|problem| {
            let unknown = problem.vendor_reason().is_some_and(|reason| reason.starts_with("UNRESOLVED_COLUMN"));
            match (unknown, columns.is_empty()) {
                (true, true) => problem.hint("REPLACE WHERE needs a partitioned table; this one is not"),
                (true, false) => problem.hint(format!("REPLACE WHERE takes columns of the partitions: {columns}")),
                (false, _) => problem,
            }
        })?;
        let mut rows = planned.run().await?;
        let mut found = BTreeSet::new();
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            let numbers = batch.column(0).as_primitive::<Int64Type>();
            let chosen = numbers.values().iter().filter_map(|number| usize::try_from(*number).ok());
            found.extend(chosen.filter_map(|number| partitions.get(number).cloned()));
        }
        Ok(found)
    }
}

/// A row for each partition: its number, as `#`, and its values.
fn values_of(state: &TableState, partitions: &[Partition]) -> Result<RecordBatch> {
    let numbers = (0_i64..).take(partitions.len());
    let mut fields = vec![Field::new("#", ArrowType::Int64, false)];
    let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_iter_values(numbers))];
    for field in &state.schema.fields {
        if !state.metadata.partition_columns.contains(&field.name) {
            continue;
        }
        let value = |partition: &Partition| {
            let text = partition.get(&field.name).and_then(Option::as_ref).filter(|text| !text.is_empty());
            text.map(|text| Scalar::parse(text, &field.data_type)).transpose()
        };
        let values = partitions.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let column = to_array(&field.data_type, &values);
        fields.push(Field::new(&field.name, column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| Problem::internal("the values of partitions make no rows", error))
}
