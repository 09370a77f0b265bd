//! The files of a table at one version, cheap to take one version further.
//!
//! Files sit in immutable chunks. A new version shares all chunks but those that it changes, and shares their parsed
//! statistics even then. Appended files become a new chunk, and neighbouring small chunks at the end are merged as the
//! carries of a binary counter, so that a file moves O(log n) times in its life and a chunk's statistics are seldom parsed
//! again. The map from path to place is cut into shards, of which a commit copies only those that it touches: one append
//! to a table of 100,000 files copies some hundred entries.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::actions::Add;
use super::chunk::{Chunk, Layout};

/// Files in a full chunk.
const CHUNK: usize = 1024;
const SHARDS: usize = 256;
/// Chunks that may be (nearly) empty before the index is built anew.
const SPARE_CHUNKS: usize = 64;

/// The live files. Cloning and advancing share structure.
#[derive(Debug, Clone)]
pub struct FileIndex {
    layout: Arc<Layout>,
    chunks: Vec<Arc<Chunk>>,
    places: Vec<Arc<HashSet<Place>>>,
    count: usize,
    bytes: i64,
}

/// Where a file is, found by its path.
#[derive(Debug, Clone)]
struct Place {
    add: Arc<Add>,
    chunk: u32,
    row: u32,
}

impl Borrow<str> for Place {
    fn borrow(&self) -> &str {
        &self.add.path
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.add.path.as_str().hash(state);
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.add.path == other.add.path
    }
}

impl Eq for Place {}

fn shard_of(path: &str) -> usize {
    // Not the hasher of the shards, or all entries of one would fall together there. Fixed keys: paths are names that
    // writers chose, and a shard is a hash set of its own, so that a crowded shard is slow, not wrong.
    (BuildHasherDefault::<DefaultHasher>::default().hash_one(path) >> 32) as usize % SHARDS
}

impl FileIndex {
    /// An index of these files. Of a path that occurs twice the last one counts.
    #[must_use]
    pub fn new(layout: Arc<Layout>, adds: impl IntoIterator<Item = Arc<Add>>) -> Self {
        let places = (0..SHARDS).map(|_| Arc::new(HashSet::new())).collect();
        let mut index = Self { layout, chunks: Vec::new(), places, count: 0, bytes: 0 };
        let mut adds = adds.into_iter().peekable();
        while adds.peek().is_some() {
            let some: Vec<_> = adds.by_ref().take(CHUNK).collect();
            index.append(some);
        }
        index
    }

    /// The index after a commit that removes these paths and adds these files. A path that is not live is skipped, and an
    /// added file replaces a live one of the same path: judging commits is [`super::state`]'s work.
    #[must_use]
    pub fn advance<'a>(&self, removes: impl IntoIterator<Item = &'a str>, adds: Vec<Arc<Add>>) -> Self {
        let mut next = self.clone();
        for path in removes {
            next.take(path);
        }
        let mut adds = adds.into_iter().peekable();
        while adds.peek().is_some() {
            let some: Vec<_> = adds.by_ref().take(CHUNK).collect();
            next.append(some);
        }
        if next.chunks.len() > 2 * next.count.div_ceil(CHUNK) + SPARE_CHUNKS {
            let files: Vec<_> = next.iter().cloned().collect();
            next = Self::new(next.layout, files);
        }
        next
    }

    /// The same files under another schema; parsed statistics are forgotten.
    #[must_use]
    pub fn with_layout(&self, layout: Arc<Layout>) -> Self {
        Self::new(layout, self.iter().cloned())
    }

    /// The columns that chunks have statistics of.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The live files, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Add>> {
        self.chunks.iter().flat_map(|chunk| chunk.live().map(|(_, add)| add))
    }

    /// The live file of that path (as in the log), whatever its deletion vector.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Arc<Add>> {
        self.places[shard_of(path)].get(path).map(|place| &place.add)
    }

    /// The live logical file: path and unique id of the deletion vector.
    #[must_use]
    pub fn get_exact(&self, path: &str, dv_id: Option<&str>) -> Option<&Arc<Add>> {
        self.get(path).filter(|add| add.dv_id().as_deref() == dv_id)
    }

    /// Live files.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of all live data files.
    #[must_use]
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// Rows of the table, deleted ones not counted; `None` when a file has no row count.
    #[must_use]
    pub fn rows(&self) -> Option<i64> {
        self.chunks.iter().try_fold(0_i64, |sum, chunk| sum.checked_add(chunk.totals().rows?))
    }

    /// The chunks with live files, for pruning.
    #[must_use]
    pub fn containers(&self) -> Vec<Arc<Chunk>> {
        self.chunks.iter().filter(|chunk| chunk.live_count() > 0).cloned().collect()
    }

    fn take(&mut self, path: &str) {
        let shard = &mut self.places[shard_of(path)];
        if !shard.contains(path) {
            return;
        }
        let Some(place) = Arc::make_mut(shard).take(path) else { return };
        Arc::make_mut(&mut self.chunks[place.chunk as usize]).kill(place.row as usize);
        self.count -= 1;
        self.bytes -= place.add.size;
    }

    /// Puts files (at most a chunk) at the end, in one chunk with as many of the last chunks as are no bigger than what
    /// has come together so far.
    fn append(&mut self, files: Vec<Arc<Add>>) {
        let mut later = HashSet::with_capacity(files.len());
        let last: Vec<bool> = files.iter().rev().map(|add| later.insert(add.path.as_str())).collect();
        let last = files.iter().zip(last.into_iter().rev()).filter(|(_, last)| *last);
        let files: Vec<_> = last.map(|(add, _)| Arc::clone(add)).collect();
        for add in &files {
            self.take(&add.path);
        }
        self.count += files.len();
        self.bytes += files.iter().map(|add| add.size).sum::<i64>();
        let mut carried = Vec::new();
        let mut size = files.len();
        while let Some(last) = self.chunks.pop_if(|last| last.live_count() <= size && last.live_count() + size <= CHUNK)
        {
            size += last.live_count();
            carried.push(last);
        }
        let older = carried.iter().rev().flat_map(|chunk| chunk.live().map(|(_, add)| Arc::clone(add)));
        let adds: Vec<_> = older.chain(files).collect();
        if adds.is_empty() {
            return;
        }
        let chunk = self.chunks.len() as u32;
        for (row, add) in adds.iter().enumerate() {
            let place = Place { add: Arc::clone(add), chunk, row: row as u32 };
            Arc::make_mut(&mut self.places[shard_of(&add.path)]).replace(place);
        }
        self.chunks.push(Arc::new(Chunk::new(adds, Arc::clone(&self.layout))));
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Int64Type, UInt64Type};

    use super::*;
    use crate::model::actions::{DeletionVector, Metadata};
    use crate::model::schema::{DataType, StructField, StructType};
    use crate::model::stats::FileStats;
    use crate::model::values::Scalar;

    fn layout() -> Arc<Layout> {
        let schema = StructType {
            fields: vec![
                StructField::new("p", DataType::Integer, true),
                StructField::new("x", DataType::Long, true),
                StructField::new("never", DataType::String, true),
            ],
        };
        let metadata = Metadata { partition_columns: vec!["p".into()], ..Metadata::default() };
        Arc::new(Layout::new(&schema, &metadata).unwrap())
    }

    fn file(i: i64) -> Arc<Add> {
        let mut stats = FileStats::of_rows(10);
        let bounds = (Scalar::Int(i), Scalar::Int(i + 9));
        stats.set(&["x".to_owned()], &DataType::Long, Some(&bounds.0), Some(&bounds.1), Some(i % 2));
        Arc::new(Add {
            path: format!("f{i}"),
            partition_values: [("p".to_owned(), (i % 3 != 0).then(|| (i % 3).to_string()))].into(),
            size: 7,
            stats: Some(stats.render()),
            ..Add::default()
        })
    }

    /// Everything that the index says about its files is so.
    fn check(index: &FileIndex, expected: &std::collections::BTreeSet<i64>) {
        assert_eq!(index.len(), expected.len());
        assert_eq!(index.bytes(), 7 * expected.len() as i64);
        assert_eq!(index.rows(), Some(10 * expected.len() as i64));
        let mut seen = std::collections::BTreeSet::new();
        for chunk in index.containers() {
            let (min, max) = (chunk.min("x").unwrap(), chunk.max("x").unwrap());
            let (nulls, rows) = (chunk.null_count("x").unwrap(), chunk.row_count());
            let p = chunk.partition("p").unwrap().unwrap();
            assert_eq!(min.len(), chunk.len());
            assert_eq!(chunk.min("never").unwrap().null_count(), chunk.len());
            assert!(chunk.min("absent").is_none() && chunk.partition("x").unwrap().is_none());
            for (row, add) in chunk.live() {
                let i: i64 = add.path[1..].parse().unwrap();
                assert!(seen.insert(i), "{i} twice");
                assert_eq!(min.as_primitive::<Int64Type>().value(row), i);
                assert_eq!(max.as_primitive::<Int64Type>().value(row), i + 9);
                assert_eq!(nulls.as_primitive::<UInt64Type>().value(row), i as u64 % 2);
                assert_eq!(rows.as_primitive::<UInt64Type>().value(row), 10);
                assert_eq!(p.is_null(row), i % 3 == 0);
                assert!(Arc::ptr_eq(index.get(&add.path).unwrap(), add));
            }
        }
        assert_eq!(seen, *expected);
    }

    #[test]
    fn a_hundred_thousand_files_and_any_changes() {
        let mut expected: std::collections::BTreeSet<i64> = (0..100_000).collect();
        let first = FileIndex::new(layout(), (0..100_000).map(file));
        check(&first, &expected);
        // One file more: all chunks but the last are the same.
        let more = first.advance([], vec![file(100_000)]);
        let same = first.containers().iter().zip(more.containers()).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert!(same + 2 >= first.containers().len(), "{same}");
        assert_eq!((first.len(), more.len()), (100_000, 100_001));
        // A long life of small changes.
        let mut index = more;
        expected.insert(100_000);
        for round in 0..1_000_i64 {
            let gone: Vec<i64> = (0..round % 4).map(|k| (round * 7_919 + k * 104_729) % 100_000).collect();
            let paths: Vec<String> = gone.iter().map(|i| format!("f{i}")).collect();
            let new = 200_000 + round;
            index = index.advance(paths.iter().map(String::as_str), vec![file(new)]);
            gone.iter().for_each(|i| {
                expected.remove(i);
            });
            expected.insert(new);
        }
        check(&index, &expected);
        assert!(index.containers().len() < 120, "small chunks are merged: {}", index.containers().len());
        // Nearly everything goes.
        let paths: Vec<String> = expected.iter().skip(5).map(|i| format!("f{i}")).collect();
        let left = index.advance(paths.iter().map(String::as_str), vec![]);
        check(&left, &expected.iter().take(5).copied().collect());
        check(&index, &expected);
    }

    #[test]
    fn a_path_is_live_once_and_known_by_its_deletion_vector() {
        let index = FileIndex::new(layout(), [file(1), file(2), file(1)]);
        assert_eq!(index.len(), 2);
        let dv = DeletionVector {
            storage_type: "u".into(),
            path_or_inline_dv: "x".into(),
            offset: None,
            size_in_bytes: 1,
            cardinality: 4,
        };
        let marked = Arc::new(Add { deletion_vector: Some(dv), ..(*file(1)).clone() });
        let next = index.advance(["f1"], vec![marked]);
        assert_eq!((next.len(), next.rows()), (2, Some(16)));
        assert!(next.get_exact("f1", Some("ux")).is_some() && next.get_exact("f1", None).is_none());
        assert!(index.get_exact("f1", None).is_some(), "the older version is as it was");
        assert!(next.advance(["f1", "nowhere"], vec![]).get("f1").is_none());
    }

    #[test]
    fn a_hundred_appends_one_by_one_keep_chunks_few() {
        let mut index = FileIndex::new(layout(), []);
        for i in 0..1_000 {
            index = index.advance([], vec![file(i)]);
        }
        assert!(index.containers().len() <= 10, "{}", index.containers().len());
        check(&index, &(0..1_000).collect());
    }
}
