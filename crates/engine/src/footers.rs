//! Footers of data files, kept between queries.
//!
//! A data file never changes under its name, so its footer and page index are read once. Kept are the newest, up to a
//! bound in bytes: when the younger half is full it becomes the older one, and what was not asked for since is dropped.
//! A footer is found by the table's folder, the file's path, size and time of writing, so no table sees another's.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{DefaultParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::error::Result as PlanResult;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::Result;
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;

/// Bytes of footers that each generation may hold.
const GENERATION: usize = 32 << 20;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    folder: Arc<str>,
    path: String,
    size: u64,
    written: i64,
}

/// Footers of all tables.
#[derive(Default)]
pub(crate) struct Footers {
    kept: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Key, Arc<ParquetMetaData>>,
    old: HashMap<Key, Arc<ParquetMetaData>>,
    bytes: usize,
}

impl fmt::Debug for Footers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Footers")
    }
}

impl Footers {
    fn get(&self, key: &Key) -> Option<Arc<ParquetMetaData>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(footer) = kept.young.get(key) {
            return Some(Arc::clone(footer));
        }
        let footer = kept.old.remove(key)?;
        kept.put(key.clone(), Arc::clone(&footer));
        Some(footer)
    }

    fn put(&self, key: Key, footer: Arc<ParquetMetaData>) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).put(key, footer);
    }
}

impl Generations {
    fn put(&mut self, key: Key, footer: Arc<ParquetMetaData>) {
        self.bytes += footer.memory_size();
        self.young.insert(key, footer);
        if self.bytes > GENERATION {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

/// Readers of one table's files that know the footers.
#[derive(Debug)]
pub(crate) struct Readers {
    plain: DefaultParquetFileReaderFactory,
    footers: Arc<Footers>,
    /// What tells the table's folder from all others.
    folder: Arc<str>,
}

impl Readers {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, footers: Arc<Footers>, folder: Arc<str>) -> Self {
        Self { plain: DefaultParquetFileReaderFactory::new(store), footers, folder }
    }
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_guess: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> PlanResult<Box<dyn AsyncFileReader + Send>> {
        let meta = &file.object_meta;
        let key = Key {
            folder: Arc::clone(&self.folder),
            path: meta.location.to_string(),
            size: meta.size,
            written: meta.last_modified.timestamp_millis(),
        };
        let inner = self.plain.create_reader(partition, file, footer_guess, metrics)?;
        Ok(Box::new(Reader { inner, key, footers: Arc::clone(&self.footers) }))
    }
}

struct Reader {
    inner: Box<dyn AsyncFileReader + Send>,
    key: Key,
    footers: Arc<Footers>,
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.inner.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        self.inner.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            if let Some(footer) = self.footers.get(&self.key) {
                return Ok(footer);
            }
            // With the page index, so that no query has to read it again.
            let options = options.cloned().unwrap_or_default().with_page_index_policy(PageIndexPolicy::Optional);
            let footer = self.inner.get_metadata(Some(&options)).await?;
            self.footers.put(self.key.clone(), Arc::clone(&footer));
            Ok(footer)
        }
        .boxed()
    }
}
