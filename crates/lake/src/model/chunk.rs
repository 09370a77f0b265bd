//! Some hundred files of a table with their statistics as columns, which is what pruning wants.
//!
//! The files of a chunk never change; only which of them are still live does. So the columns, parsed from JSON on first
//! use, are shared by all versions of the table that share the chunk, and rows of files removed since remain in them:
//! every array has one row for each file of the chunk, and [`Chunk::is_live`] says which rows count.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow_array::{Array, ArrayRef, UInt64Array, new_null_array};

use super::LogError;
use super::actions::{Add, Metadata};
use super::chunk_stats::{self, Columns};
use super::schema::{DataType, StructType};
use super::stats::{Leaf, leaves, num_records};
use super::values::{Scalar, to_array};

/// What the columns of a table's files look like: the same for all chunks until the schema changes.
#[derive(Debug)]
pub struct Layout {
    pub(super) leaves: Vec<Leaf>,
    by_logical: HashMap<Vec<String>, usize>,
    /// Physical names, to walk statistics without looking at columns that have none.
    pub(super) tree: Node,
    partitions: Vec<PartitionColumn>,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) children: HashMap<String, Node>,
    pub(super) leaf: Option<usize>,
}

/// A column whose values are in `add.partitionValues`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionColumn {
    pub logical: String,
    pub physical: String,
    pub data_type: DataType,
}

impl Layout {
    /// # Errors
    /// [`LogError::Schema`] when a partition column is not in the schema.
    pub fn new(schema: &StructType, metadata: &Metadata) -> Result<Self, LogError> {
        let leaves = leaves(schema, &metadata.partition_columns);
        let mut tree = Node::default();
        for (index, leaf) in leaves.iter().enumerate() {
            let node =
                leaf.physical.iter().fold(&mut tree, |node, name| node.children.entry(name.clone()).or_default());
            node.leaf = Some(index);
        }
        let partition = |name: &String| {
            let field = schema.fields.iter().find(|f| f.name == *name);
            let field = field.ok_or_else(|| LogError::Schema(format!("the partition column '{name}' is not in it")))?;
            Ok(PartitionColumn {
                logical: name.clone(),
                physical: field.physical_name().to_owned(),
                data_type: field.data_type.clone(),
            })
        };
        Ok(Self {
            by_logical: leaves.iter().enumerate().map(|(i, l)| (l.logical.clone(), i)).collect(),
            tree,
            partitions: metadata.partition_columns.iter().map(partition).collect::<Result<_, LogError>>()?,
            leaves,
        })
    }

    /// The partition columns in their order.
    #[must_use]
    pub fn partitions(&self) -> &[PartitionColumn] {
        &self.partitions
    }
}

/// Files that were added together, and which of them are live in the version at hand.
#[derive(Debug, Clone)]
pub struct Chunk {
    data: Arc<ChunkData>,
    /// A bit for each file.
    live: Vec<u64>,
    live_count: usize,
    /// Of the live files.
    totals: OnceLock<Totals>,
}

/// Sums over some files of a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub files: usize,
    /// Of the data files.
    pub bytes: i64,
    /// Deleted ones not counted; `None` when a file has no row count.
    pub rows: Option<i64>,
    /// Files with deletion vectors.
    pub vectors: usize,
}

#[derive(Debug)]
struct ChunkData {
    adds: Vec<Arc<Add>>,
    layout: Arc<Layout>,
    row_count: OnceLock<ArrayRef>,
    columns: OnceLock<HashMap<usize, Columns>>,
    partitions: Vec<OnceLock<ArrayRef>>,
}

impl Chunk {
    pub(super) fn new(adds: Vec<Arc<Add>>, layout: Arc<Layout>) -> Self {
        let partitions = layout.partitions.iter().map(|_| OnceLock::new()).collect();
        let live =
            (0..adds.len().div_ceil(64)).map(|word| u64::MAX >> (64 - (adds.len() - word * 64).min(64))).collect();
        let live_count = adds.len();
        let data = ChunkData { adds, layout, row_count: OnceLock::new(), columns: OnceLock::new(), partitions };
        Self { data: Arc::new(data), live, live_count, totals: OnceLock::new() }
    }

    /// Files in the chunk, removed ones included: the length of every array.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.adds.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.adds.is_empty()
    }

    /// Files of the chunk that are in the table.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.live_count
    }

    /// Whether the file of that row is in the table.
    #[must_use]
    pub fn is_live(&self, row: usize) -> bool {
        self.live.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// The file of a row, live or not.
    #[must_use]
    pub fn file(&self, row: usize) -> Option<&Arc<Add>> {
        self.data.adds.get(row)
    }

    /// The live files with their rows.
    pub fn live(&self) -> impl Iterator<Item = (usize, &Arc<Add>)> {
        self.data.adds.iter().enumerate().filter(|(row, _)| self.is_live(*row))
    }

    /// Takes a file out. The statistics stay shared with earlier versions.
    pub(super) fn kill(&mut self, row: usize) {
        if self.is_live(row) {
            self.live[row / 64] &= !(1 << (row % 64));
            self.live_count -= 1;
            self.totals = OnceLock::new();
        }
    }

    /// Sums over the live files.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.totals.get_or_init(|| self.totals_of(self.live().map(|(row, _)| row)))
    }

    /// Sums over the files of these rows.
    #[must_use]
    pub fn totals_of(&self, rows: impl IntoIterator<Item = usize>) -> Totals {
        let counts = self.row_count();
        let counts = counts.as_any().downcast_ref::<UInt64Array>();
        let mut totals = Totals { rows: Some(0), ..Totals::default() };
        for (row, add) in rows.into_iter().filter_map(|row| Some((row, self.file(row)?))) {
            let known = counts.filter(|counts| counts.is_valid(row)).and_then(|c| i64::try_from(c.value(row)).ok());
            let deleted = add.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
            totals.files += 1;
            totals.bytes = totals.bytes.saturating_add(add.size);
            totals.vectors += usize::from(add.deletion_vector.is_some());
            totals.rows = totals.rows.and_then(|sum| sum.checked_add(known?)?.checked_sub(deleted));
        }
        totals
    }

    /// Lower bounds of a top-level column, in its Arrow type; null where unknown, `None` if there is no such column.
    #[must_use]
    pub fn min(&self, column: &str) -> Option<ArrayRef> {
        self.min_at(&[column])
    }

    /// Upper bounds of a top-level column.
    #[must_use]
    pub fn max(&self, column: &str) -> Option<ArrayRef> {
        self.max_at(&[column])
    }

    /// Null counts (UInt64) of a top-level column; null where unknown. They count rows of the data file: where a file has
    /// a deletion vector only 0 and the full row count mean anything.
    #[must_use]
    pub fn null_count(&self, column: &str) -> Option<ArrayRef> {
        self.null_count_at(&[column])
    }

    /// [`Chunk::min`] of a nested column, by its logical names from the top.
    #[must_use]
    pub fn min_at(&self, path: &[&str]) -> Option<ArrayRef> {
        self.column(path, |c| &c.min, |t| t.to_arrow())
    }

    /// [`Chunk::max`] of a nested column.
    #[must_use]
    pub fn max_at(&self, path: &[&str]) -> Option<ArrayRef> {
        self.column(path, |c| &c.max, |t| t.to_arrow())
    }

    /// [`Chunk::null_count`] of a nested column.
    #[must_use]
    pub fn null_count_at(&self, path: &[&str]) -> Option<ArrayRef> {
        self.column(path, |c| &c.null_count, |_| arrow_schema::DataType::UInt64)
    }

    /// Rows in each data file (UInt64), those hidden by deletion vectors included; null where unknown.
    #[must_use]
    pub fn row_count(&self) -> ArrayRef {
        let count = || {
            let counts = self.data.adds.iter().map(|add| num_records(add.stats.as_deref()));
            Arc::new(UInt64Array::from_iter(counts.map(|n| n.and_then(|n| n.try_into().ok())))) as ArrayRef
        };
        Arc::clone(self.data.row_count.get_or_init(count))
    }

    /// Values of a partition column in its Arrow type; `None` if it is not one.
    ///
    /// # Errors
    /// [`LogError::Value`] when a file's value is no value of the column's type.
    pub fn partition(&self, column: &str) -> Result<Option<ArrayRef>, LogError> {
        let Some(index) = self.data.layout.partitions.iter().position(|p| p.logical == column) else {
            return Ok(None);
        };
        let cell = &self.data.partitions[index];
        if let Some(array) = cell.get() {
            return Ok(Some(Arc::clone(array)));
        }
        let PartitionColumn { physical, data_type, .. } = &self.data.layout.partitions[index];
        let parse = |add: &Arc<Add>| match add.partition_values.get(physical).and_then(Option::as_deref) {
            None | Some("") => Ok(None),
            Some(text) => Scalar::parse(text, data_type).map(Some),
        };
        let values = self.data.adds.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Arc::clone(cell.get_or_init(|| to_array(data_type, &values)))))
    }

    fn column(
        &self,
        path: &[&str],
        get: impl Fn(&Columns) -> &ArrayRef,
        arrow: impl Fn(&DataType) -> arrow_schema::DataType,
    ) -> Option<ArrayRef> {
        let path: Vec<String> = path.iter().map(|name| (*name).to_owned()).collect();
        let index = *self.data.layout.by_logical.get(&path)?;
        let columns = self.data.columns.get_or_init(|| chunk_stats::read(&self.data.adds, &self.data.layout));
        Some(columns.get(&index).map_or_else(
            || new_null_array(&arrow(&self.data.layout.leaves[index].data_type), self.len()),
            |found| Arc::clone(get(found)),
        ))
    }
}
