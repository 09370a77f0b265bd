//! The one module that speaks to delta_kernel: cold loads, deletion vectors, checkpoints.
//!
//! Its default engine turns the kernel's internal interface on, which promises nothing between releases; so nothing of the
//! kernel's leaves this module. Kernel calls block (they wait for I/O that they start on the runtime), so each runs on the
//! blocking pool.
//!
//! The kernel sees a table as the root `file:///` of an object store that reaches no further than the table's folder: what
//! a log names outside of it (an absolute path) is not found rather than read. The scheme `file` also makes the kernel sort
//! listings, which local folders do not.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, MapArray, RecordBatch, StringArray, StructArray};
use arrow::datatypes::{Int32Type, Int64Type, Schema};
use crannog_lake::model::actions::{Action, Add, DeletionVector};
use crannog_lake::model::commit_file::parse_commit;
use crannog_lake::model::state::Loaded;
use crannog_types::{Code, Micros, Problem, Result};
use delta_kernel::actions::deletion_vector::DeletionVectorDescriptor;
use delta_kernel::actions::get_all_actions_schema;
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::{Engine, EngineData, KernelError, Snapshot, SnapshotRef};
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::{DefaultEngine, DefaultEngineBuilder};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use url::Url;

use crate::checkpoint::{ACTIONS, Checkpoint, Finished};
use crate::errors::{from_arrow, from_log, from_object_store};

type KernelEngine = DefaultEngine<TokioMultiThreadExecutor>;

/// The root of every table, as the kernel sees it.
const ROOT: &str = "file:///";
/// Removed files are remembered for this long, when the table does not say (`delta.deletedFileRetentionDuration`).
const TOMBSTONES: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Actions that [`Loaded`] takes from the log as they stand.
const PLAIN_ACTIONS: [&str; 4] = ["protocol", "metaData", "txn", "domainMetadata"];

/// A version and what the log says up to it. `version` `None`: the newest. `None` where there is no table.
///
/// # Errors
/// `Unimplemented` when reading the table needs a feature that the kernel lacks, `DataLoss` for a log that is damaged.
pub(crate) async fn load(store: Arc<dyn ObjectStore>, version: Option<i64>) -> Result<Option<(i64, Loaded)>> {
    let engine = engine(Arc::clone(&store));
    let loaded = blocking(move || {
        let snapshot = snapshot(&engine, version)?;
        let loaded = replay(&engine, &snapshot)?;
        Ok((snapshot.version(), loaded))
    })
    .await;
    match loaded {
        Ok((version, loaded)) => Ok(Some((signed(version)?, loaded))),
        Err(problem) => match has_log(store.as_ref()).await? {
            true => Err(problem),
            false => Ok(None),
        },
    }
}

/// Writes the checkpoint of a version and `_last_checkpoint`. Does nothing where the checkpoint exists.
///
/// The kernel writes no checkpoints of tables of the writer versions 3 to 6; those are written by [`crate::checkpoint`].
///
/// # Errors
/// `Unimplemented` for tables that neither writes checkpoints of.
pub(crate) async fn checkpoint(store: Arc<dyn ObjectStore>, version: i64, now: Micros) -> Result<()> {
    let engine = engine(Arc::clone(&store));
    let own = blocking(move || {
        let snapshot = snapshot(&engine, Some(version))?;
        match snapshot.checkpoint(&engine, None) {
            Ok(_) => Ok(None),
            Err(error) => match root(&error) {
                KernelError::Unsupported(_) if fits_first_form(&snapshot) => {
                    Ok(Some((snapshot.version(), own_checkpoint(&engine, &snapshot, now)?)))
                }
                KernelError::Unsupported(reason) => {
                    let message = format!("a checkpoint of this table cannot be written: {reason}");
                    Err(Problem::new(Code::Unimplemented, message)
                        .reason("DELTA_CHECKPOINT_UNSUPPORTED")
                        .hint("let Spark write the checkpoint; the table stays readable and writable without")
                        .caused_by(error))
                }
                _ => Err(problem(error, "the checkpoint cannot be written")),
            },
        }
    })
    .await?;
    let Some((version, checkpoint)) = own else { return Ok(()) };
    let log = |name: String| Path::from_iter(["_delta_log".to_owned(), name]);
    let hint = checkpoint.hint(version);
    let file = log(format!("{version:020}.checkpoint.parquet"));
    store.put(&file, checkpoint.bytes.into()).await.map_err(from_object_store)?;
    store.put(&log("_last_checkpoint".to_owned()), hint.into()).await.map_err(from_object_store)?;
    Ok(())
}

/// Whether nothing but the old numbered writer versions is in the kernel's way, of which none changes what a checkpoint is.
fn fits_first_form(snapshot: &SnapshotRef) -> bool {
    (3..=6).contains(&snapshot.table_configuration().protocol().min_writer_version())
}

fn own_checkpoint(engine: &KernelEngine, snapshot: &SnapshotRef, now: Micros) -> Result<Finished> {
    let failed = |error| problem(error, "the table's log cannot be read");
    let schema = get_all_actions_schema().project(&ACTIONS).map_err(failed)?;
    let columns: Schema = schema.as_ref().try_into_arrow().map_err(from_arrow)?;
    let kept_for = snapshot.table_properties().deleted_file_retention_duration.unwrap_or(TOMBSTONES);
    let kept_for = i64::try_from(kept_for.as_millis()).unwrap_or(i64::MAX);
    let mut checkpoint = Checkpoint::new(Arc::new(columns), now.millis().saturating_sub(kept_for))?;
    for batch in snapshot.log_segment().read_actions(engine, schema).map_err(failed)? {
        checkpoint.take(&batch.and_then(|batch| record_batch(batch.actions)).map_err(failed)?)?;
    }
    checkpoint.finish()
}

/// For each deletion vector the rows that it deletes, in ascending order.
///
/// # Errors
/// `DataLoss` when a vector is missing, damaged, or does not delete as many rows as the log says.
pub(crate) async fn deleted_rows(store: Arc<dyn ObjectStore>, vectors: Vec<DeletionVector>) -> Result<Vec<Vec<u64>>> {
    if vectors.is_empty() {
        return Ok(Vec::new());
    }
    let engine = engine(store);
    blocking(move || {
        let root = Url::parse(ROOT).map_err(|e| Problem::internal("the root of a table is not a URL", e))?;
        vectors.iter().map(|vector| deleted_by(&engine, &root, vector)).collect()
    })
    .await
}

fn deleted_by(engine: &KernelEngine, root: &Url, vector: &DeletionVector) -> Result<Vec<u64>> {
    let damaged = |why: String| {
        Problem::new(Code::DataLoss, format!("the deletion vector '{}' cannot be read: {why}", vector.unique_id()))
            .hint("restore the table to an older version (RESTORE TABLE)")
    };
    let storage_type = vector.storage_type.parse().map_err(|e: KernelError| damaged(e.to_string()))?;
    let descriptor = DeletionVectorDescriptor::try_new(
        storage_type,
        vector.path_or_inline_dv.clone(),
        vector.offset,
        vector.size_in_bytes,
        vector.cardinality,
    )
    .map_err(|e| damaged(e.to_string()))?;
    let mut rows = descriptor.row_indexes(engine.storage_handler(), root).map_err(|e| damaged(e.to_string()))?;
    if u64::try_from(vector.cardinality).ok() != u64::try_from(rows.len()).ok() {
        return Err(damaged(format!("it deletes {} rows, the log says {}", rows.len(), vector.cardinality)));
    }
    rows.sort_unstable();
    Ok(rows)
}

fn engine(store: Arc<dyn ObjectStore>) -> KernelEngine {
    let executor = Arc::new(TokioMultiThreadExecutor::new(Handle::current()));
    DefaultEngineBuilder::new(store).with_task_executor(executor).build()
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Problem::internal("reading the table's log did not finish", e))?
}

fn snapshot(engine: &KernelEngine, version: Option<i64>) -> Result<SnapshotRef> {
    let mut builder = Snapshot::builder_for(ROOT);
    if let Some(version) = version {
        let version = u64::try_from(version)
            .map_err(|_| Problem::invalid(format!("a table has no version {version}; the first one is 0")))?;
        builder = builder.at_version(version);
    }
    builder.build(engine).map_err(|error| problem(error, "the table cannot be loaded"))
}

fn replay(engine: &KernelEngine, snapshot: &SnapshotRef) -> Result<Loaded> {
    let failed = |error| problem(error, "the table's log cannot be read");
    let plain = plain_actions(engine, snapshot)?;
    let mut adds = Vec::new();
    let scan = Arc::clone(snapshot).scan_builder().build().map_err(failed)?;
    for batch in scan.scan_metadata(engine).map_err(failed)? {
        let live = batch.and_then(|batch| batch.scan_files.apply_selection_vector()).map_err(failed)?;
        adds_of(&record_batch(live).map_err(failed)?, &mut adds)?;
    }
    let (mut protocol, mut metadata, mut txns, mut domains) = (None, None, Vec::new(), Vec::new());
    // Newest first: the first of a kind, or of a name, counts.
    let (mut apps, mut names) = (HashSet::new(), HashSet::new());
    for action in plain {
        match action {
            Action::Protocol(found) if protocol.is_none() => protocol = Some(found),
            Action::Metadata(found) if metadata.is_none() => metadata = Some(found),
            Action::Txn(txn) if apps.insert(txn.app_id.clone()) => txns.push(txn),
            Action::DomainMetadata(domain) if names.insert(domain.domain.clone()) && !domain.removed => {
                domains.push(domain)
            }
            _ => {}
        }
    }
    let (Some(protocol), Some(metadata)) = (protocol, metadata) else {
        return Err(Problem::new(Code::DataLoss, "the table's log has no protocol or no metadata"));
    };
    Ok(Loaded { protocol, metadata, txns, domains, adds, timestamp: timestamp(engine, snapshot)? })
}

/// The version's time in milliseconds since the epoch; 0 where the commit file was cleaned away.
fn timestamp(engine: &KernelEngine, snapshot: &SnapshotRef) -> Result<i64> {
    match snapshot.get_timestamp(engine) {
        Ok(timestamp) => Ok(timestamp),
        Err(error) if matches!(root(&error), KernelError::MissingVersion(_)) => Ok(0),
        Err(error) => Err(problem(error, "the time of the table's version cannot be read")),
    }
}

/// Protocol, metadata, transactions and domains, newest first, superseded ones included.
fn plain_actions(engine: &KernelEngine, snapshot: &SnapshotRef) -> Result<Vec<Action>> {
    let failed = |error| problem(error, "the table's log cannot be read");
    let schema = get_all_actions_schema().project(&PLAIN_ACTIONS).map_err(failed)?;
    let mut actions = Vec::new();
    for batch in snapshot.log_segment().read_actions(engine, schema).map_err(failed)? {
        let batch = batch.and_then(|batch| record_batch(batch.actions)).map_err(failed)?;
        // Most rows of a log are of other actions, so all null here.
        let known: Vec<_> = (0..batch.num_rows())
            .filter(|row| batch.columns().iter().any(|column| column.is_valid(*row)))
            .map(|row| batch.slice(row, 1))
            .collect();
        let mut lines = arrow::json::LineDelimitedWriter::new(Vec::new());
        lines.write_batches(&known.iter().collect::<Vec<_>>()).map_err(from_arrow)?;
        lines.finish().map_err(from_arrow)?;
        actions.extend(parse_commit(&lines.into_inner()).map_err(from_log)?);
    }
    Ok(actions)
}

fn record_batch(data: Box<dyn EngineData>) -> Result<RecordBatch, KernelError> {
    Ok((*ArrowEngineData::try_from_engine_data(data)?).into())
}

/// Rows of the kernel's scan: `path, size, modificationTime, stats, deletionVector{…}, fileConstantValues{partitionValues,
/// baseRowId, defaultRowCommitVersion, tags, clusteringProvider}`.
fn adds_of(batch: &RecordBatch, adds: &mut Vec<Add>) -> Result<()> {
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| missing(name));
    let constants = column("fileConstantValues")?.as_struct_opt().ok_or_else(|| missing("fileConstantValues"))?;
    let vectors = column("deletionVector")?.as_struct_opt().ok_or_else(|| missing("deletionVector"))?;
    let (paths, stats) = (strings(column("path")?.as_ref(), "path")?, strings(column("stats")?.as_ref(), "stats")?);
    let longs =
        |array: &dyn Array, name: &str| array.as_primitive_opt::<Int64Type>().cloned().ok_or_else(|| missing(name));
    let (sizes, times) = (longs(column("size")?, "size")?, longs(column("modificationTime")?, "modificationTime")?);
    let values = maps(constants, "partitionValues")?;
    let tags = maps(constants, "tags")?;
    let row_ids = longs(field(constants, "baseRowId")?, "baseRowId")?;
    let row_versions = longs(field(constants, "defaultRowCommitVersion")?, "defaultRowCommitVersion")?;
    let clustering = strings(field(constants, "clusteringProvider")?, "clusteringProvider")?;
    for row in (0..batch.num_rows()).filter(|row| paths.is_valid(*row)) {
        let valid = constants.is_valid(row);
        let long = |array: &arrow::array::Int64Array| (valid && array.is_valid(row)).then(|| array.value(row));
        adds.push(Add {
            path: paths.value(row).to_owned(),
            partition_values: if valid { entries(values, row)? } else { BTreeMap::new() },
            size: sizes.value(row),
            modification_time: times.value(row),
            data_change: true,
            stats: stats.is_valid(row).then(|| stats.value(row).to_owned()),
            tags: if valid && tags.is_valid(row) { Some(entries(tags, row)?) } else { None },
            deletion_vector: if vectors.is_valid(row) { Some(vector_of(vectors, row)?) } else { None },
            base_row_id: long(&row_ids),
            default_row_commit_version: long(&row_versions),
            clustering_provider: (valid && clustering.is_valid(row)).then(|| clustering.value(row).to_owned()),
        });
    }
    Ok(())
}

fn vector_of(vectors: &StructArray, row: usize) -> Result<DeletionVector> {
    let int = |name: &str| field(vectors, name)?.as_primitive_opt::<Int32Type>().ok_or_else(|| missing(name));
    let offset = int("offset")?;
    let cardinality =
        field(vectors, "cardinality")?.as_primitive_opt::<Int64Type>().ok_or_else(|| missing("cardinality"))?;
    Ok(DeletionVector {
        storage_type: strings(field(vectors, "storageType")?, "storageType")?.value(row).to_owned(),
        path_or_inline_dv: strings(field(vectors, "pathOrInlineDv")?, "pathOrInlineDv")?.value(row).to_owned(),
        offset: offset.is_valid(row).then(|| offset.value(row)),
        size_in_bytes: int("sizeInBytes")?.value(row),
        cardinality: cardinality.value(row),
    })
}

fn field<'a>(of: &'a StructArray, name: &str) -> Result<&'a dyn Array> {
    of.column_by_name(name).map(AsRef::as_ref).ok_or_else(|| missing(name))
}

fn strings<'a>(array: &'a dyn Array, name: &str) -> Result<&'a StringArray> {
    array.as_string_opt::<i32>().ok_or_else(|| missing(name))
}

fn maps<'a>(of: &'a StructArray, name: &str) -> Result<&'a MapArray> {
    field(of, name)?.as_map_opt().ok_or_else(|| missing(name))
}

fn entries(map: &MapArray, row: usize) -> Result<BTreeMap<String, Option<String>>> {
    if map.is_null(row) {
        return Ok(BTreeMap::new());
    }
    let entries = map.value(row);
    let (keys, values) = (strings(entries.column(0).as_ref(), "key")?, strings(entries.column(1).as_ref(), "value")?);
    Ok((0..entries.len())
        .map(|i| (keys.value(i).to_owned(), values.is_valid(i).then(|| values.value(i).to_owned())))
        .collect())
}

fn missing(column: &str) -> Problem {
    Problem::new(Code::Internal, format!("the kernel's list of files has no column '{column}' of the expected type"))
}

/// Whether there is a commit or a checkpoint.
async fn has_log(store: &dyn ObjectStore) -> Result<bool> {
    let mut files = store.list(Some(&Path::from("_delta_log")));
    while let Some(file) = files.next().await {
        let file = match file {
            Ok(file) => file,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(from_object_store(error)),
        };
        let name = file.location.filename().unwrap_or_default();
        if name.len() > 20 && name.bytes().take(20).all(|b| b.is_ascii_digit()) && name.as_bytes()[20] == b'.' {
            return Ok(true);
        }
    }
    Ok(false)
}

fn root(error: &KernelError) -> &KernelError {
    match error {
        KernelError::Backtraced { source, .. } => root(source),
        other => other,
    }
}

fn problem(error: KernelError, what: &str) -> Problem {
    let text = root(&error).to_string();
    let found = match root(&error) {
        KernelError::Unsupported(_) => Problem::new(Code::Unimplemented, format!("{what}: {text}"))
            .reason("DELTA_UNSUPPORTED_FEATURES_FOR_READ")
            .hint(
                "read the table with the engine that wrote it, or drop the feature there (ALTER TABLE … DROP FEATURE)",
            ),
        KernelError::MissingVersion(_) | KernelError::StartVersionNotFound { .. } | KernelError::EmptyLog => {
            Problem::not_found(format!("{what}: {text}")).reason("DELTA_VERSION_NOT_FOUND")
        }
        KernelError::ObjectStore(_) | KernelError::IOError(_) => Problem::new(Code::Unavailable, what),
        KernelError::InternalError(_) | KernelError::JoinFailure(_) => Problem::new(Code::Internal, what),
        _ => Problem::new(Code::DataLoss, format!("{what}: {text}")),
    };
    found.caused_by(error)
}

fn signed(version: u64) -> Result<i64> {
    i64::try_from(version).map_err(|e| Problem::internal("the table's version is out of range", e))
}
