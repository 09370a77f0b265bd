//! Which files of a table a query has to open: DataFusion's pruning predicates over the statistics of the file index.
//!
//! A file is left out only when the statistics prove that none of its rows can match. Whatever is unknown (a column
//! without statistics, a predicate that cannot be turned into bounds, an array of a type that surprises) keeps the file:
//! the filter runs again above the scan, so that a mistake in this direction costs time, never rows. Deletion vectors need
//! no care here: the bounds and counts of the whole file hold for the rows that are left, too.

use std::collections::HashSet;
use std::sync::Arc;

use crannog_lake::model::actions::Add;
use crannog_lake::model::chunk::{Chunk, Totals};
use crannog_lake::model::files::FileIndex;
use crannog_types::Result;
use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::compute::{SortOptions, concat, is_null, sort_to_indices, take};
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

/// The files that are left, in the index' order. Of a chunk that is left whole nothing is copied: choosing all files of a
/// large table costs as much as counting its chunks.
#[derive(Debug)]
pub(crate) struct Chosen {
    parts: Vec<Part>,
    /// Columns whose statistics decided, in alphabetical order.
    pub(crate) by: Vec<String>,
}

/// What is left of a chunk.
#[derive(Debug)]
struct Part {
    chunk: Arc<Chunk>,
    /// The rows of its files; `None`: of all live ones.
    rows: Option<Vec<usize>>,
    totals: Totals,
}

impl Chosen {
    /// How many files are left.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.totals.files).sum()
    }

    /// Their bytes.
    pub(crate) fn bytes(&self) -> i64 {
        self.parts.iter().map(|part| part.totals.bytes).sum()
    }

    /// Their rows without deleted ones; `None` when a file does not say how many it has.
    pub(crate) fn rows(&self) -> Option<i64> {
        self.parts.iter().map(|part| part.totals.rows).sum()
    }

    /// The files.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Arc<Add>> {
        self.parts.iter().flat_map(Part::files)
    }

    /// The files with deletion vectors.
    pub(crate) fn with_vectors(&self) -> impl Iterator<Item = &Arc<Add>> {
        let parts = self.parts.iter().filter(|part| part.totals.vectors > 0);
        parts.flat_map(Part::files).filter(|add| add.deletion_vector.is_some())
    }

    /// Keeps only as many of the first files as surely have so many rows.
    pub(crate) fn keep_rows(&mut self, limit: usize) {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (mut rows, mut whole) = (0_i64, 0);
        for part in &mut self.parts {
            if rows >= limit {
                break;
            }
            whole += 1;
            match part.totals.rows {
                Some(more) if rows.saturating_add(more) < limit => rows += more,
                _ => rows = part.keep_rows(rows, limit),
            }
        }
        self.parts.truncate(whole);
    }
}

impl Chosen {
    /// What the statistics of the files say about a column, to estimate by: nothing of it is exact.
    ///
    /// # Errors
    /// `DataLoss` when a partition value in the log is no value of its column's type.
    pub(crate) fn summary(&self, schema: &SchemaRef, column: usize) -> Result<ColumnStatistics> {
        let field = schema.field(column);
        let unknown = ColumnStatistics::new_unknown();
        if !field.data_type().is_numeric() && !field.data_type().is_temporal() {
            return Ok(unknown);
        }
        let (mut mins, mut maxs) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let partition = part.chunk.partition(field.name()).map_err(from_log)?;
            let min = partition.clone().or_else(|| part.chunk.min(field.name()));
            let max = partition.or_else(|| part.chunk.max(field.name()));
            let (Some(min), Some(max)) = (min, max) else { return Ok(unknown) };
            if min.data_type() != field.data_type() || max.data_type() != field.data_type() {
                return Ok(unknown);
            }
            mins.push(part.left_of(min)?);
            maxs.push(part.left_of(max)?);
        }
        let all = |parts: &[ArrayRef]| {
            concat(&parts.iter().map(AsRef::as_ref).collect::<Vec<&dyn Array>>()).map_err(from_arrow)
        };
        if mins.is_empty() {
            return Ok(unknown);
        }
        let (mins, maxs) = (all(&mins)?, all(&maxs)?);
        let first = |bounds: &ArrayRef, descending: bool| {
            let options = SortOptions { descending, nulls_first: false };
            let at = sort_to_indices(bounds, Some(options), Some(1)).ok()?;
            let value =
                ScalarValue::try_from_array(bounds, usize::try_from(at.values().first().copied()?).ok()?).ok()?;
            (!value.is_null()).then_some(value)
        };
        let bound = |value: Option<ScalarValue>| value.map_or(Precision::Absent, Precision::Inexact);
        Ok(ColumnStatistics { min_value: bound(first(&mins, false)), max_value: bound(first(&maxs, true)), ..unknown })
    }
}

impl Part {
    /// The entries of the files that are left, of an array with one for each file of the chunk.
    fn left_of(&self, array: ArrayRef) -> Result<ArrayRef> {
        let live = self.rows.is_none().then(|| self.chunk.live().map(|(row, _)| row));
        if live.is_some() && self.chunk.live_count() == self.chunk.len() {
            return Ok(array);
        }
        let rows = live.into_iter().flatten().chain(self.rows.iter().flatten().copied());
        let rows = UInt64Array::from_iter_values(rows.filter_map(|row| u64::try_from(row).ok()));
        take(&array, &rows, None).map_err(from_arrow)
    }

    fn of(chunk: Arc<Chunk>, rows: Option<Vec<usize>>) -> Self {
        let totals = match &rows {
            None => chunk.totals(),
            Some(rows) => chunk.totals_of(rows.iter().copied()),
        };
        Self { chunk, rows, totals }
    }

    fn files(&self) -> impl Iterator<Item = &Arc<Add>> {
        let all = self.rows.is_none().then(|| self.chunk.live().map(|(_, add)| add));
        let some = self.rows.iter().flatten().filter_map(|row| self.chunk.file(*row));
        all.into_iter().flatten().chain(some)
    }

    /// Keeps only as many files as it takes to come from `rows` to `limit`; gives where that comes to.
    fn keep_rows(&mut self, mut rows: i64, limit: i64) -> i64 {
        let all = self.rows.take().unwrap_or_else(|| self.chunk.live().map(|(row, _)| row).collect());
        let mut kept = Vec::new();
        for row in all {
            if rows >= limit {
                break;
            }
            kept.push(row);
            rows = rows.saturating_add(self.chunk.totals_of([row]).rows.unwrap_or(0));
        }
        *self = Self::of(Arc::clone(&self.chunk), Some(kept));
        rows
    }
}

/// The files that may have rows for which all filters are true.
///
/// # Errors
/// `DataLoss` when a partition value in the log is no value of its column's type.
pub(crate) fn choose(index: &FileIndex, schema: &SchemaRef, filters: &[Expr], session: &dyn Session) -> Result<Chosen> {
    let predicates = predicates(schema, filters, session);
    let mut chosen = Chosen { parts: Vec::new(), by: Vec::new() };
    let mut by = HashSet::new();
    for chunk in index.containers() {
        if predicates.is_empty() {
            chosen.parts.push(Part::of(chunk, None));
            continue;
        }
        let partitions = partition_arrays(index, &chunk)?;
        let statistics = ChunkStatistics { chunk: &chunk, schema, partitions };
        let mut rows: Vec<usize> = chunk.live().map(|(row, _)| row).collect();
        for predicate in &predicates {
            let Ok(possible) = predicate.prune(&statistics) else { continue };
            let before = rows.len();
            rows.retain(|row| possible[*row]);
            if rows.len() < before {
                by.extend(collect_columns(predicate.orig_expr()).into_iter().map(|column| column.name().to_owned()));
            }
        }
        match rows.len() {
            0 => {}
            left if left == chunk.live_count() => chosen.parts.push(Part::of(chunk, None)),
            _ => chosen.parts.push(Part::of(chunk, Some(rows))),
        }
    }
    chosen.by = by.into_iter().collect();
    chosen.by.sort_unstable();
    Ok(chosen)
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
