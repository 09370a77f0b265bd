//! Some hundred files of a table with their statistics as columns, which is what pruning wants.
//!
//! The files of a chunk never change; only which of them are still live does. So the columns, parsed from JSON on first
//! use, are shared by all versions of the table that share the chunk, and rows of files removed since remain in them:
//! every array has one row for each file of the chunk, and [`Chunk::is_live`] says which rows count.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use arrow_array::{Array, ArrayRef, UInt64Array, new_null_array};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::LogError;
use super::actions::{Add, Metadata};
use super::schema::{DataType, StructType};
use super::stats::{Bound, Leaf, bound_from_json, has_bounds, leaves, num_records};
use super::values::{Scalar, to_array};

/// What the columns of a table's files look like: the same for all chunks until the schema changes.
#[derive(Debug)]
pub struct Layout {
    leaves: Vec<Leaf>,
    by_logical: HashMap<Vec<String>, usize>,
    /// Physical names, to walk statistics without looking at columns that have none.
    tree: Node,
    partitions: Vec<PartitionColumn>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<String, Node>,
    leaf: Option<usize>,
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

#[derive(Debug)]
struct Columns {
    min: ArrayRef,
    max: ArrayRef,
    null_count: ArrayRef,
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
        let columns = self.data.columns.get_or_init(|| self.data.parse());
        Some(columns.get(&index).map_or_else(
            || new_null_array(&arrow(&self.data.layout.leaves[index].data_type), self.len()),
            |found| Arc::clone(get(found)),
        ))
    }
}

/// Bounds of one column while they are read, one entry a file.
struct Collected {
    min: Vec<Option<Scalar>>,
    max: Vec<Option<Scalar>>,
    null_count: Vec<Option<u64>>,
}

impl Collected {
    fn of(files: usize) -> Self {
        Collected { min: vec![None; files], max: vec![None; files], null_count: vec![None; files] }
    }

    fn forget(&mut self, row: usize) {
        (self.min[row], self.max[row], self.null_count[row]) = (None, None, None);
    }
}

impl ChunkData {
    /// Reads the statistics of all files once. Columns that no file has statistics of take no memory.
    fn parse(&self) -> HashMap<usize, Columns> {
        let files = self.adds.len();
        let mut found: Vec<Option<Collected>> = self.layout.leaves.iter().map(|_| None).collect();
        for (row, add) in self.adds.iter().enumerate() {
            let Some(text) = add.stats.as_deref() else { continue };
            let mut json = serde_json::Deserializer::from_str(text);
            let read = StatsOf { layout: &self.layout, files, row, found: &mut found }.deserialize(&mut json);
            if read.and_then(|()| json.end()).is_err() {
                // Unknown, not half known.
                found.iter_mut().flatten().for_each(|column| column.forget(row));
            }
        }
        let build = |(leaf, c): (usize, Collected)| {
            let data_type = &self.layout.leaves[leaf].data_type;
            let bounds = |values: &[Option<Scalar>]| {
                if has_bounds(data_type) {
                    to_array(data_type, values)
                } else {
                    new_null_array(&data_type.to_arrow(), files)
                }
            };
            let columns = Columns {
                min: bounds(&c.min),
                max: bounds(&c.max),
                null_count: Arc::new(UInt64Array::from(c.null_count)),
            };
            (leaf, columns)
        };
        found.into_iter().enumerate().filter_map(|(leaf, column)| Some((leaf, column?))).map(build).collect()
    }
}

/// Which of a file's statistics.
#[derive(Clone, Copy)]
enum Kind {
    Min,
    Max,
    Nulls,
}

/// The statistics of one file, read straight into the columns: a tree of JSON values for each of 100,000 files costs more
/// than all the rest of opening a table. The text is what [`super::stats::FileStats`] writes.
struct StatsOf<'a> {
    layout: &'a Layout,
    files: usize,
    row: usize,
    found: &'a mut [Option<Collected>],
}

impl<'de> DeserializeSeed<'de> for StatsOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StatsOf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statistics of a file")
    }

    fn visit_map<M: MapAccess<'de>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(kind) = map.next_key_seed(KindOf)? {
            let Some(kind) = kind else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let node = &self.layout.tree;
            map.next_value_seed(ValuesOf { of: &mut self, kind, node })?;
        }
        Ok(())
    }
}

struct KindOf;

impl<'de> DeserializeSeed<'de> for KindOf {
    type Value = Option<Kind>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Kind>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KindOf {
    type Value = Option<Kind>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind of statistics")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<Kind>, E> {
        Ok(match name {
            "minValues" => Some(Kind::Min),
            "maxValues" => Some(Kind::Max),
            "nullCount" => Some(Kind::Nulls),
            _ => None,
        })
    }
}

/// One kind of statistics of the columns below a node.
struct ValuesOf<'a, 'b> {
    of: &'a mut StatsOf<'b>,
    kind: Kind,
    node: &'a Node,
}

impl<'de> DeserializeSeed<'de> for ValuesOf<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValuesOf<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("statistics by column")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(node) = map.next_key_seed(ChildOf(self.node))? {
            match node {
                Some(Node { leaf: Some(leaf), .. }) => {
                    let value = map.next_value::<Value>()?;
                    self.of.keep(*leaf, self.kind, &value);
                }
                Some(node) => map.next_value_seed(ValuesOf { of: &mut *self.of, kind: self.kind, node })?,
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    // What is no object says nothing of the columns below it.

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

struct ChildOf<'a>(&'a Node);

impl<'a, 'de> DeserializeSeed<'de> for ChildOf<'a> {
    type Value = Option<&'a Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<&'a Node>, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<'a> Visitor<'_> for ChildOf<'a> {
    type Value = Option<&'a Node>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a column")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<&'a Node>, E> {
        Ok(self.0.children.get(name))
    }
}

impl StatsOf<'_> {
    fn keep(&mut self, leaf: usize, kind: Kind, value: &Value) {
        let files = self.files;
        let column = self.found[leaf].get_or_insert_with(|| Collected::of(files));
        let data_type = &self.layout.leaves[leaf].data_type;
        match kind {
            Kind::Min => column.min[self.row] = bound_from_json(value, data_type, Bound::Lower),
            Kind::Max => column.max[self.row] = bound_from_json(value, data_type, Bound::Upper),
            Kind::Nulls => column.null_count[self.row] = value.as_u64(),
        }
    }
}
