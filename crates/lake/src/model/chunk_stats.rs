//! Statistics of files, read straight into columns: a tree of JSON values for each of 100,000 files costs more than all the rest
//! of opening a table. The text is what [`super::stats::FileStats`] writes.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt64Array, new_null_array};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::actions::Add;
use super::chunk::{Layout, Node};
use super::stats::{Bound, bound_from_json, has_bounds};
use super::values::{Scalar, to_array};

/// Bounds of a column, one entry a file.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) min: ArrayRef,
    pub(super) max: ArrayRef,
    pub(super) null_count: ArrayRef,
}

/// Reads the statistics of all files once. Columns that no file has statistics of take no memory.
pub(super) fn read(adds: &[Arc<Add>], layout: &Layout) -> HashMap<usize, Columns> {
    let files = adds.len();
    let mut found: Vec<Option<Collected>> = layout.leaves.iter().map(|_| None).collect();
    for (row, add) in adds.iter().enumerate() {
        let Some(text) = add.stats.as_deref() else { continue };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = StatsOf { layout, files, row, found: &mut found }.deserialize(&mut json);
        if read.and_then(|()| json.end()).is_err() {
            // Unknown, not half known.
            found.iter_mut().flatten().for_each(|column| column.forget(row));
        }
    }
    let build = |(leaf, c): (usize, Collected)| {
        let data_type = &layout.leaves[leaf].data_type;
        let bounds = |values: &[Option<Scalar>]| {
            if has_bounds(data_type) {
                to_array(data_type, values)
            } else {
                new_null_array(&data_type.to_arrow(), files)
            }
        };
        let columns =
            Columns { min: bounds(&c.min), max: bounds(&c.max), null_count: Arc::new(UInt64Array::from(c.null_count)) };
        (leaf, columns)
    };
    found.into_iter().enumerate().filter_map(|(leaf, column)| Some((leaf, column?))).map(build).collect()
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

/// Which of a file's statistics.
#[derive(Clone, Copy)]
enum Kind {
    Min,
    Max,
    Nulls,
}

/// The statistics of one file.
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
