//! `explode` and its kin as an operator: many rows of one, in bounded memory.
//!
//! DataFusion computes the lists of a whole batch, then unnests them. A list may be as short a call as
//! `sequence(1, 1000000)`, and 8192 of them are 64 GB. So [`GenerateExec`] takes the place of both: it computes the lists
//! of as few input rows at once as fit, counts them against the query's memory, and gives their elements in batches that
//! are limited in rows and in bytes, because the other columns are repeated for each element. One row's list has to fit.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{NullHandling, Statistics};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties};
use futures::StreamExt;

use crate::errors::is_out_of_memory;
use crate::spark::error::find;
use crate::spark::functions::room::{Weights, bytes_of};

/// Lists of fewer bytes than these are computed for more rows at once, of more than four times these for fewer.
const LISTS: u64 = 1 << 20;
/// Bytes that the repeated columns of a batch may have, unless one row of them has more.
const REPEATED: u64 = 8 << 20;

/// Puts [`GenerateExec`] in the place of an unnest and the projection below it.
#[derive(Debug)]
pub(crate) struct Generate;

impl PhysicalOptimizerRule for Generate {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            Ok(match generated(&node) {
                Some(generated) => Transformed::yes(generated),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &str {
        "Generate"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn generated(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let unnest = node.downcast_ref::<UnnestExec>()?;
    let [list] = unnest.list_column_indices() else { return None };
    let width = unnest.input().schema().fields().len();
    if list.depth != 1 || !unnest.struct_column_indices().is_empty() || unnest.schema().fields().len() != width {
        return None;
    }
    let (input, items) = match unnest.input().downcast_ref::<ProjectionExec>() {
        Some(projection) => (Arc::clone(projection.input()), projection.expr().to_vec()),
        None => {
            let schema = unnest.input().schema();
            let fields = schema.fields().iter().enumerate();
            let items = fields.map(|(at, field)| {
                let expr: Arc<dyn PhysicalExpr> = Arc::new(Column::new(field.name(), at));
                ProjectionExpr { expr, alias: field.name().clone() }
            });
            (Arc::clone(unnest.input()), items.collect())
        }
    };
    let outer = unnest.options().null_handling != NullHandling::Drop;
    let parts = Parts { items, list: list.index_in_input_schema, outer, schema: unnest.schema() };
    Some(Arc::new(GenerateExec::new(Arc::new(parts), input)))
}

/// What is computed from an input row.
#[derive(Debug)]
struct Parts {
    items: Vec<ProjectionExpr>,
    /// Which of them is the list.
    list: usize,
    /// A NULL list is a row with NULL.
    outer: bool,
    schema: SchemaRef,
}

#[derive(Debug)]
pub(crate) struct GenerateExec {
    parts: Arc<Parts>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl GenerateExec {
    fn new(parts: Arc<Parts>, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&parts.schema)),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            input.pipeline_behavior(),
            input.boundedness(),
        );
        GenerateExec { parts, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for GenerateExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let item = &self.parts.items[self.parts.list];
        write!(f, "GenerateExec: {}, outer={}", item.expr, self.parts.outer)
    }
}

impl ExecutionPlan for GenerateExec {
    fn name(&self) -> &str {
        "GenerateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for item in &self.parts.items {
            if f(&item.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [input] = <[_; 1]>::try_from(children)
            .map_err(|_| DataFusionError::Internal("a generator has one input".to_owned()))?;
        Ok(Arc::new(GenerateExec::new(Arc::clone(&self.parts), input)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let running = Running {
            parts: Arc::clone(&self.parts),
            input: self.input.execute(partition, Arc::clone(&context))?,
            reservation: MemoryConsumer::new(format!("GenerateExec[{partition}]")).register(context.memory_pool()),
            most_rows: context.session_config().batch_size().max(1),
            at_once: 1,
            waiting: None,
            lists: None,
        };
        let rows = futures::stream::try_unfold(running, |mut running| async move {
            Ok(running.next().await?.map(|batch| (batch, running)))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.parts.schema), rows)))
    }

    fn partition_statistics(&self, _: Option<usize>) -> Result<Arc<Statistics>> {
        Ok(Arc::new(Statistics::new_unknown(&self.parts.schema)))
    }
}

struct Running {
    parts: Arc<Parts>,
    input: SendableRecordBatchStream,
    reservation: MemoryReservation,
    most_rows: usize,
    /// Input rows whose lists are computed at once.
    at_once: usize,
    /// An input batch, and its first row whose list was not computed yet.
    waiting: Option<(RecordBatch, usize)>,
    lists: Option<Lists>,
}

impl Running {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(lists) = &mut self.lists {
                if let Some(batch) = lists.next(&self.parts, self.most_rows)? {
                    return Ok(Some(batch));
                }
                self.lists = None;
                self.reservation.free();
            }
            match self.waiting.take() {
                Some((batch, from)) if from < batch.num_rows() => self.compute(batch, from)?,
                _ => match self.input.next().await {
                    Some(batch) => self.waiting = Some((batch?, 0)),
                    None => return Ok(None),
                },
            }
        }
    }

    /// Computes the lists of the next rows: of fewer, when they are too large together.
    fn compute(&mut self, batch: RecordBatch, from: usize) -> Result<()> {
        loop {
            let rows = self.at_once.min(batch.num_rows() - from);
            match self.try_compute(&batch.slice(from, rows)) {
                Ok(()) => {
                    self.waiting = Some((batch, from + rows));
                    return Ok(());
                }
                Err(error) if rows > 1 && is_too_large(&error) => self.at_once = (rows / 8).max(1),
                Err(error) => return Err(error),
            }
        }
    }

    fn try_compute(&mut self, rows: &RecordBatch) -> Result<()> {
        let columns = self.parts.items.iter().map(|item| item.expr.evaluate(rows)?.into_array(rows.num_rows()));
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let list = columns[self.parts.list].as_list::<i32>().clone();
        let bytes = bytes_of(&list);
        self.reservation.try_resize(usize::try_from(bytes).unwrap_or(usize::MAX))?;
        if bytes < LISTS {
            self.at_once = (self.at_once * 2).min(self.most_rows);
        } else if bytes > 4 * LISTS {
            self.at_once = (self.at_once / 2).max(1);
        }
        let weights = columns.iter().enumerate().filter(|(at, _)| *at != self.parts.list);
        let weights = weights.map(|(_, column)| Weights::of(column)).collect();
        self.lists = Some(Lists { columns, list, weights, row: 0, element: 0 });
        Ok(())
    }
}

/// Whether fewer rows may do.
fn is_too_large(error: &DataFusionError) -> bool {
    is_out_of_memory(error)
        || find(error).is_some_and(|error| error.condition.starts_with("COLLECTION_SIZE_LIMIT_EXCEEDED"))
}

/// The computed columns of some input rows, and how far their lists were given out.
struct Lists {
    columns: Vec<ArrayRef>,
    list: ListArray,
    weights: Vec<Weights>,
    row: usize,
    element: usize,
}

impl Lists {
    /// The next elements, each with the other columns of its row.
    fn next(&mut self, parts: &Parts, most_rows: usize) -> Result<Option<RecordBatch>> {
        let mut rows: Vec<u32> = Vec::new();
        let mut elements: Vec<Option<u32>> = Vec::new();
        let mut bytes = 0_u64;
        while self.row < self.list.len() && rows.len() < most_rows {
            let (first, length) = match self.list.is_valid(self.row) {
                true => (self.list.value_offsets()[self.row], self.list.value_length(self.row)),
                false => (0, i32::from(parts.outer)),
            };
            let length = usize::try_from(length).unwrap_or(0);
            let weight: u64 = self.weights.iter().map(|weights| weights.between(self.row, self.row + 1)).sum();
            let fits = usize::try_from(REPEATED.saturating_sub(bytes) / weight.max(1)).unwrap_or(usize::MAX);
            let fits = if rows.is_empty() { fits.max(1) } else { fits };
            let more = (length - self.element).min(most_rows - rows.len()).min(fits);
            if more == 0 && self.element < length {
                break;
            }
            let row = u32::try_from(self.row).unwrap_or(u32::MAX);
            rows.extend(std::iter::repeat_n(row, more));
            if self.list.is_valid(self.row) {
                let from = u32::try_from(first).unwrap_or(0) + u32::try_from(self.element).unwrap_or(0);
                elements.extend((from..).take(more).map(Some));
            } else {
                elements.extend(std::iter::repeat_n(None, more));
            }
            bytes = bytes.saturating_add(weight.saturating_mul(u64::try_from(more).unwrap_or(u64::MAX)));
            self.element += more;
            if self.element == length {
                self.row += 1;
                self.element = 0;
            }
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let count = rows.len();
        let places = UInt32Array::from(rows);
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            columns.push(match at == parts.list {
                true => elements_at(self.list.values(), &elements)?,
                false => take(column, &places, None)?,
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(Some(RecordBatch::try_new_with_options(Arc::clone(&parts.schema), columns, &options)?))
    }
}

/// The values at these places: without a copy, if they follow one another.
fn elements_at(values: &ArrayRef, places: &[Option<u32>]) -> Result<ArrayRef> {
    let first = places.first().copied().flatten();
    if let Some(first) = first
        && places.iter().zip(first..).all(|(place, next)| *place == Some(next))
    {
        return Ok(values.slice(usize::try_from(first).unwrap_or(0), places.len()));
    }
    Ok(take(values, &UInt32Array::from(places.to_vec()), None)?)
}
