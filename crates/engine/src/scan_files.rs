//! The files of a scan as DataFusion's Parquet source takes them: partition values as constants, deleted rows as a row
//! selection.
//!
//! What is slow of a file (its deletion vector, a footer) is read when this is made; listing the files reads nothing.

use std::collections::HashMap;
use std::sync::Arc;

use crannog_lake::model::actions::Add;
use crannog_lake::model::chunk::{Layout, PartitionColumn};
use crannog_lake::model::stats::num_records;
use crannog_lake::model::values::{Scalar, to_array};
use crannog_types::{Code, Problem, Result};
use datafusion::common::{ScalarValue, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::parquet::file::metadata::ParquetMetaDataReader;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use percent_encoding::percent_decode_str;

use crate::errors::{from_log, from_object_store, from_parquet};
use crate::kernel;
use crate::prune::Chosen;

/// Files that were chosen, with what is left of those that lost rows.
#[derive(Debug)]
pub(crate) struct ScanFiles {
    chosen: Chosen,
    layout: Arc<Layout>,
    /// By the file's path in the log.
    left: HashMap<String, RowSelection>,
    /// That nothing is known of any column: the bounds of the log are cut off, so no query may be answered from them.
    unknown: Arc<Statistics>,
}

impl ScanFiles {
    /// Reads the deletion vectors of the chosen files. `unknown`: statistics that say nothing.
    ///
    /// # Errors
    /// `DataLoss` for a vector that is missing or damaged, or deletes what is not there.
    pub(crate) async fn new(
        store: &Arc<dyn ObjectStore>,
        layout: Arc<Layout>,
        chosen: Chosen,
        unknown: Statistics,
    ) -> Result<Self> {
        let with_vectors: Vec<_> = chosen.with_vectors().cloned().collect();
        let vectors = with_vectors.iter().filter_map(|add| add.deletion_vector.clone()).collect();
        let deleted = kernel::deleted_rows(Arc::clone(store), vectors).await?;
        let mut left = HashMap::new();
        for (add, deleted) in with_vectors.iter().zip(deleted) {
            let rows = match num_records(add.stats.as_deref()).and_then(|rows| usize::try_from(rows).ok()) {
                Some(rows) => rows,
                None => count_rows(store, &location(&add.path)?).await?,
            };
            let selection = selection(&deleted, rows);
            let selection = selection.ok_or_else(|| damaged(&add.path, "a row is deleted that it does not have"))?;
            left.insert(add.path.clone(), selection);
        }
        Ok(Self { chosen, layout, left, unknown: Arc::new(unknown) })
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.chosen.len()
    }

    /// How many of them lost rows.
    pub(crate) fn with_deleted_rows(&self) -> usize {
        self.left.len()
    }

    /// The files in at most so many groups; one group where there is no file.
    pub(crate) fn groups(&self, partitions: usize) -> Result<Vec<FileGroup>> {
        let files = self.chosen.files().map(|add| self.file(add)).collect::<Result<Vec<_>>>()?;
        if files.is_empty() {
            return Ok(vec![FileGroup::new(files)]);
        }
        Ok(FileGroup::new(files).split_files(partitions))
    }

    /// As many groups as [`ScanFiles::groups`] gives, without files.
    pub(crate) fn placeholders(&self, partitions: usize) -> Vec<FileGroup> {
        let files = self.len();
        let in_each = files.div_ceil(partitions.max(1)).max(1);
        (0..files.div_ceil(in_each).max(1)).map(|_| FileGroup::new(Vec::new())).collect()
    }

    fn file(&self, add: &Add) -> Result<PartitionedFile> {
        let size = u64::try_from(add.size).map_err(|_| damaged(&add.path, "its size is negative"))?;
        let values =
            self.layout.partitions().iter().map(|column| partition_value(add, column)).collect::<Result<_>>()?;
        let mut file = PartitionedFile::new("", size).with_partition_values(values);
        file.object_meta.location = location(&add.path)?;
        file.object_meta.last_modified =
            chrono::DateTime::from_timestamp_millis(add.modification_time).unwrap_or_default();
        file.statistics = Some(Arc::clone(&self.unknown));
        if let Some(left) = add.deletion_vector.as_ref().and_then(|_| self.left.get(&add.path)) {
            file = file.with_extension(ParquetRowSelection::new(left.clone()));
        }
        Ok(file)
    }
}

/// The value of a partition column in a file, typed.
fn partition_value(add: &Add, column: &PartitionColumn) -> Result<ScalarValue> {
    let PartitionColumn { physical, data_type, .. } = column;
    let scalar = match add.partition_values.get(physical).and_then(Option::as_deref) {
        // By the protocol the empty string is null, in columns of every type.
        None | Some("") => None,
        Some(text) => Some(Scalar::parse(text, data_type).map_err(from_log)?),
    };
    ScalarValue::try_from_array(&to_array(data_type, &[scalar]), 0).map_err(crate::errors::from_datafusion)
}

/// Rows by the file's own footer, for the rare file that has a deletion vector but no statistics.
async fn count_rows(store: &Arc<dyn ObjectStore>, path: &Path) -> Result<usize> {
    let bytes = store.get(path).await.map_err(from_object_store)?.bytes().await.map_err(from_object_store)?;
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).map_err(from_parquet)?;
    usize::try_from(metadata.file_metadata().num_rows())
        .map_err(|_| damaged(path.as_ref(), "its footer has a negative number of rows"))
}

/// The rows that are left of so many; `None` when a deleted one is not among them.
fn selection(deleted: &[u64], rows: usize) -> Option<RowSelection> {
    let mut selectors = Vec::new();
    let mut next = 0;
    for row in deleted {
        let row = usize::try_from(*row).ok().filter(|row| *row < rows && *row >= next)?;
        if row > next {
            selectors.push(RowSelector::select(row - next));
        }
        selectors.push(RowSelector::skip(1));
        next = row + 1;
    }
    if rows > next {
        selectors.push(RowSelector::select(rows - next));
    }
    Some(RowSelection::from(selectors))
}

/// Where a file of the log is in the table's folder.
fn location(path: &str) -> Result<Path> {
    if path.starts_with('/')
        || path.split_once(':').is_some_and(|(scheme, _)| !scheme.contains('/') && is_scheme(scheme))
    {
        return Err(Problem::new(
            Code::Unimplemented,
            format!("the data file '{path}' is outside of the table's folder"),
        )
        .reason("DELTA_ABSOLUTE_PATH")
        .hint("shallow clones cannot be queried; make a deep clone with Spark"));
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| damaged(path, "its path is not UTF-8"))?;
    Path::parse(decoded.as_ref()).map_err(|e| damaged(path, "its path is malformed").caused_by(e))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
}

fn damaged(path: &str, why: &str) -> Problem {
    Problem::new(Code::DataLoss, format!("the data file '{path}' cannot be read: {why}"))
        .hint("restore the table to an older version (RESTORE TABLE)")
}
