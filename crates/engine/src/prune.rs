//! Which files of a table a query has to open: DataFusion's pruning predicates over the statistics of the file index.
//!
//! A file is left out only when the statistics prove that none of its rows can match. Whatever is unknown (a column
//! without statistics, a predicate that cannot be turned into bounds, an array of a type that surprises) keeps the file:
//! the filter runs again above the scan, so that a mistake in this direction costs time, never rows. Deletion vectors need
//! no care here: the bounds and counts of the whole file hold for the rows that are left, too.

use std::collections::HashSet;
use std::sync::Arc;

use crannog_lake::model::actions::Add;
use crannog_lake::model::chunk::Chunk;
use crannog_lake::model::files::FileIndex;
use crannog_types::Result;
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::compute::{SortOptions, concat, filter, is_null, sort_to_indices};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ColumnStatistics, DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};

use crate::errors::{from_arrow, from_log};

/// The files that are left.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// In the index' order.
    pub(crate) files: Vec<Arc<Add>>,
    /// Columns whose statistics decided, in alphabetical order.
    pub(crate) by: Vec<String>,
    /// For each chunk of the index, which of its files are left; `None`: all live ones.
    pub(crate) kept: Vec<Option<BooleanArray>>,
}

/// The files that may have rows for which all filters are true.
///
/// # Errors
/// `DataLoss` when a partition value in the log is no value of its column's type.
pub(crate) fn choose(index: &FileIndex, schema: &SchemaRef, filters: &[Expr], session: &dyn Session) -> Result<Chosen> {
    let predicates = predicates(schema, filters, session);
    let mut chosen = Chosen { files: Vec::new(), by: Vec::new(), kept: Vec::new() };
    let mut by = HashSet::new();
    for chunk in index.containers() {
        let partitions = partition_arrays(index, &chunk)?;
        let statistics = ChunkStatistics { chunk: &chunk, schema, partitions };
        let mut keep = vec![true; chunk.len()];
        for predicate in &predicates {
            let Ok(possible) = predicate.prune(&statistics) else { continue };
            let live_before = keep.iter().filter(|k| **k).count();
            keep.iter_mut().zip(possible).for_each(|(keep, possible)| *keep &= possible);
            if keep.iter().filter(|k| **k).count() < live_before {
                by.extend(collect_columns(predicate.orig_expr()).into_iter().map(|column| column.name().to_owned()));
            }
        }
        chosen.files.extend(chunk.live().filter(|(row, _)| keep[*row]).map(|(_, add)| Arc::clone(add)));
        let all = chunk.live_count() == chunk.len() && keep.iter().all(|keep| *keep);
        let left = || BooleanArray::from_iter((0..chunk.len()).map(|row| Some(keep[row] && chunk.is_live(row))));
        chosen.kept.push((!all).then(left));
    }
    chosen.by = by.into_iter().collect();
    chosen.by.sort_unstable();
    Ok(chosen)
}

/// What the statistics of the files that are left say about a column, to estimate by: nothing of it is exact.
pub(crate) fn summary(
    index: &FileIndex,
    schema: &SchemaRef,
    column: usize,
    kept: &[Option<BooleanArray>],
) -> Result<ColumnStatistics> {
    let field = schema.field(column);
    let unknown = ColumnStatistics::new_unknown();
    if !field.data_type().is_numeric() && !field.data_type().is_temporal() {
        return Ok(unknown);
    }
    let (mut mins, mut maxs) = (Vec::new(), Vec::new());
    for (chunk, kept) in index.containers().iter().zip(kept) {
        let partition = chunk.partition(field.name()).map_err(from_log)?;
        let min = partition.clone().or_else(|| chunk.min(field.name()));
        let max = partition.or_else(|| chunk.max(field.name()));
        let (Some(min), Some(max)) = (min, max) else { return Ok(unknown) };
        if min.data_type() != field.data_type() || max.data_type() != field.data_type() {
            return Ok(unknown);
        }
        let left = |bounds: ArrayRef| match kept {
            Some(kept) => filter(&bounds, kept).map_err(from_arrow),
            None => Ok(bounds),
        };
        mins.push(left(min)?);
        maxs.push(left(max)?);
    }
    let all =
        |parts: &[ArrayRef]| concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>()).map_err(from_arrow);
    if mins.is_empty() {
        return Ok(unknown);
    }
    let (mins, maxs) = (all(&mins)?, all(&maxs)?);
    let first = |bounds: &ArrayRef, descending: bool| {
        let options = SortOptions { descending, nulls_first: false };
        let at = sort_to_indices(bounds, Some(options), Some(1)).ok()?;
        let value = ScalarValue::try_from_array(bounds, usize::try_from(at.values().first().copied()?).ok()?).ok()?;
        (!value.is_null()).then_some(value)
    };
    let bound = |value: Option<ScalarValue>| value.map_or(Precision::Absent, Precision::Inexact);
    Ok(ColumnStatistics { min_value: bound(first(&mins, false)), max_value: bound(first(&maxs, true)), ..unknown })
}

/// One predicate for each filter, so that one which cannot be used does not spoil the others.
fn predicates(schema: &SchemaRef, filters: &[Expr], session: &dyn Session) -> Vec<PruningPredicate> {
    let Ok(df_schema) = DFSchema::try_from(Arc::clone(schema)) else { return Vec::new() };
    let predicate = |filter: &Expr| {
        let filter = session.create_physical_expr(unqualified(filter)?, &df_schema).ok()?;
        let predicate = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(filter).ok()?;
        (!predicate.always_true()).then_some(predicate)
    };
    filters.iter().filter_map(predicate).collect()
}

/// The filter with columns named as the table names them, without the alias that the query gave the table.
fn unqualified(filter: &Expr) -> Option<Expr> {
    let bare = |expr: Expr| {
        Ok(match expr {
            Expr::Column(column) if column.relation.is_some() => {
                Transformed::yes(Expr::Column(Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    };
    filter.clone().transform(bare).ok().map(|t| t.data)
}

/// The values of each partition column in the chunk.
fn partition_arrays(index: &FileIndex, chunk: &Chunk) -> Result<Vec<(String, ArrayRef)>> {
    let values = |name: &String| Ok(chunk.partition(name).map_err(from_log)?.map(|array| (name.clone(), array)));
    index.layout().partitions().iter().filter_map(|column| values(&column.logical).transpose()).collect()
}

struct ChunkStatistics<'a> {
    chunk: &'a Chunk,
    schema: &'a SchemaRef,
    partitions: Vec<(String, ArrayRef)>,
}

impl ChunkStatistics<'_> {
    fn partition(&self, column: &Column) -> Option<&ArrayRef> {
        self.partitions.iter().find(|(name, _)| *name == column.name).map(|(_, array)| array)
    }

    /// The bounds, if they are of the column's type: anything else is no bound that this code understands.
    fn checked(&self, column: &Column, array: Option<ArrayRef>) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        array.filter(|array| array.data_type() == field.data_type() && array.len() == self.chunk.len())
    }
}

impl PruningStatistics for ChunkStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        let bounds = self.partition(column).cloned().or_else(|| self.chunk.min(&column.name));
        self.checked(column, bounds)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let bounds = self.partition(column).cloned().or_else(|| self.chunk.max(&column.name));
        self.checked(column, bounds)
    }

    fn num_containers(&self) -> usize {
        self.chunk.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let Some(values) = self.partition(column) else { return self.chunk.null_count(&column.name) };
        let rows = self.chunk.row_count();
        let rows = rows.as_any().downcast_ref::<UInt64Array>()?;
        let nulls = (0..values.len()).map(|row| match values.is_null(row) {
            true => rows.is_valid(row).then(|| rows.value(row)),
            false => Some(0),
        });
        Some(Arc::new(UInt64Array::from_iter(nulls)))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(self.chunk.row_count())
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let partition = self.partition(column)?;
        let wanted =
            values.iter().map(|value| value.cast_to(partition.data_type()).ok()).collect::<Option<HashSet<_>>>()?;
        let nulls = is_null(partition.as_ref()).ok()?;
        (0..partition.len())
            .map(|row| match nulls.value(row) {
                true => Some(None),
                false => Some(Some(wanted.contains(&ScalarValue::try_from_array(partition, row).ok()?))),
            })
            .collect()
    }
}
