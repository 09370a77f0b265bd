//! Checkpoints in the protocol's first form (one Parquet file, `V1`), for tables that the kernel will not write one of.
//!
//! The kernel refuses to write anything to tables of the old writer versions 3 to 6, whether or not they use what these
//! versions allow; but a table that is written to needs checkpoints. What a checkpoint holds follows from the log alone and
//! no feature of writers changes it: the newest protocol and metadata, each application's and each domain's newest entry,
//! each live file, and each removed file that may still be wanted.
//!
//! Actions come as the kernel reads them, in its columns, newest first, and leave in the same columns.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray, StructArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Int32Type, Int64Type, SchemaRef};
use bytes::Bytes;
use crannog_types::{Code, Problem, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use crate::errors::{from_arrow, from_parquet};

/// The actions that a checkpoint holds.
pub(crate) const ACTIONS: [&str; 6] = ["add", "remove", "metaData", "protocol", "txn", "domainMetadata"];

/// A checkpoint in the making.
pub(crate) struct Checkpoint {
    writer: ArrowWriter<Vec<u8>>,
    /// Removed files of this moment (milliseconds since the epoch) or earlier are forgotten.
    forget_before: i64,
    files: HashSet<(String, Option<String>)>,
    apps: HashSet<String>,
    domains: HashSet<String>,
    has_protocol: bool,
    has_metadata: bool,
    actions: usize,
    adds: usize,
}

/// A finished checkpoint.
pub(crate) struct Finished {
    /// Its file.
    pub(crate) bytes: Bytes,
    actions: usize,
    adds: usize,
}

impl Finished {
    /// The content of `_last_checkpoint`.
    pub(crate) fn hint(&self, version: u64) -> String {
        let Self { bytes, actions, adds } = self;
        json!({ "version": version, "size": actions, "sizeInBytes": bytes.len(), "numOfAddFiles": adds }).to_string()
    }
}

impl Checkpoint {
    /// A checkpoint with these columns, one for each of [`ACTIONS`].
    pub(crate) fn new(columns: SchemaRef, forget_before: i64) -> Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        Ok(Self {
            writer: ArrowWriter::try_new(Vec::new(), columns, Some(properties)).map_err(from_parquet)?,
            forget_before,
            files: HashSet::new(),
            apps: HashSet::new(),
            domains: HashSet::new(),
            has_protocol: false,
            has_metadata: false,
            actions: 0,
            adds: 0,
        })
    }

    /// Takes actions that are older than all those before.
    ///
    /// # Errors
    /// `Internal` when they are not in the expected columns.
    pub(crate) fn take(&mut self, actions: &RecordBatch) -> Result<()> {
        let of = |name: &str| {
            let column = actions.column_by_name(name).and_then(|column| column.as_struct_opt());
            column.ok_or_else(|| missing(name))
        };
        let (add, remove, metadata) = (of("add")?, of("remove")?, of("metaData")?);
        let (protocol, txn, domain) = (of("protocol")?, of("txn")?, of("domainMetadata")?);
        let (added, removed) = (Files::of(add)?, Files::of(remove)?);
        let removed_at = child(remove, "deletionTimestamp")?.as_primitive_opt::<Int64Type>();
        let removed_at = removed_at.ok_or_else(|| missing("deletionTimestamp"))?;
        let (apps, domains) = (texts(txn, "appId")?, texts(domain, "domain")?);
        let dropped = child(domain, "removed")?.as_boolean_opt().ok_or_else(|| missing("removed"))?;
        let mut keep = Vec::with_capacity(actions.num_rows());
        for row in 0..actions.num_rows() {
            keep.push(if add.is_valid(row) {
                let live = self.files.insert(added.key(row));
                self.adds += usize::from(live);
                live
            } else if remove.is_valid(row) {
                let wanted = removed_at.is_valid(row) && removed_at.value(row) > self.forget_before;
                self.files.insert(removed.key(row)) && wanted
            } else if metadata.is_valid(row) {
                !std::mem::replace(&mut self.has_metadata, true)
            } else if protocol.is_valid(row) {
                !std::mem::replace(&mut self.has_protocol, true)
            } else if txn.is_valid(row) {
                self.apps.insert(apps.value(row).to_owned())
            } else if domain.is_valid(row) {
                self.domains.insert(domains.value(row).to_owned()) && !dropped.value(row)
            } else {
                false
            });
        }
        let kept = filter_record_batch(actions, &BooleanArray::from(keep)).map_err(from_arrow)?;
        self.actions += kept.num_rows();
        self.writer.write(&without_data_change(&kept)?).map_err(from_parquet)
    }

    /// Ends it.
    ///
    /// # Errors
    /// `DataLoss` when the log had no protocol or no metadata.
    pub(crate) fn finish(self) -> Result<Finished> {
        if !(self.has_protocol && self.has_metadata) {
            return Err(Problem::new(Code::DataLoss, "the table's log has no protocol or no metadata"));
        }
        let bytes = self.writer.into_inner().map_err(from_parquet)?.into();
        Ok(Finished { bytes, actions: self.actions, adds: self.adds })
    }
}

/// What tells logical files apart: the path, and the unique id of the deletion vector.
struct Files<'a> {
    paths: &'a StringArray,
    vectors: &'a StructArray,
    kinds: &'a StringArray,
    places: &'a StringArray,
    offsets: &'a arrow::array::Int32Array,
}

impl<'a> Files<'a> {
    fn of(action: &'a StructArray) -> Result<Self> {
        let vectors = child(action, "deletionVector")?.as_struct_opt().ok_or_else(|| missing("deletionVector"))?;
        let offsets = child(vectors, "offset")?.as_primitive_opt::<Int32Type>().ok_or_else(|| missing("offset"))?;
        let (kinds, places) = (texts(vectors, "storageType")?, texts(vectors, "pathOrInlineDv")?);
        Ok(Self { paths: texts(action, "path")?, vectors, kinds, places, offsets })
    }

    fn key(&self, row: usize) -> (String, Option<String>) {
        let vector = self.vectors.is_valid(row).then(|| {
            let id = format!("{}{}", self.kinds.value(row), self.places.value(row));
            if self.offsets.is_valid(row) { format!("{id}@{}", self.offsets.value(row)) } else { id }
        });
        (self.paths.value(row).to_owned(), vector)
    }
}

/// In a checkpoint no file action changes data: it says what is there.
fn without_data_change(actions: &RecordBatch) -> Result<RecordBatch> {
    let mut columns = actions.columns().to_vec();
    for (at, field) in actions.schema().fields().iter().enumerate() {
        let action = columns[at].as_struct_opt().ok_or_else(|| missing(field.name()))?;
        let Some((child, _)) = action.fields().find("dataChange") else { continue };
        let (fields, mut children, nulls) = action.clone().into_parts();
        children[child] = Arc::new(BooleanArray::from(vec![false; actions.num_rows()])) as ArrayRef;
        columns[at] = Arc::new(StructArray::try_new(fields, children, nulls).map_err(from_arrow)?);
    }
    RecordBatch::try_new(actions.schema(), columns).map_err(from_arrow)
}

fn child<'a>(of: &'a StructArray, name: &str) -> Result<&'a dyn Array> {
    of.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| missing(name))
}

fn texts<'a>(of: &'a StructArray, name: &str) -> Result<&'a StringArray> {
    child(of, name)?.as_string_opt::<i32>().ok_or_else(|| missing(name))
}

fn missing(column: &str) -> Problem {
    Problem::new(Code::Internal, format!("the log's actions have no column '{column}' of the expected type"))
}
