//! Changes of rows: INSERT, INSERT OVERWRITE, COPY INTO, TRUNCATE; REPLACE WHERE is in `replace_where`.
//!
//! Data files are written first, then one commit makes them part of the table. When the commit is refused they are deleted
//! again, so that a failed statement leaves nothing.

use std::sync::Arc;

use crannog_governance::service::tables as catalog_tables;
use crannog_security::actions::tables;
use crannog_security::{Lease, NameOf, Permit};
use crannog_storage::{Access, FileMeta, Folder};
use crannog_types::{Code, Problem, Result, SecurableId};
use futures::StreamExt;
use futures::stream;
use sha2::{Digest, Sha256};

use super::answer::{Answer, Cell, Type};
use super::resolve::{format_of, key_of, path_name};
use super::{Run, partition};
use crate::grammar;
use crate::grammar::Name;
use crate::grammar::statement::{CopyInto, CopySource, Insert};
use crate::model::actions::{Action, Add};
use crate::model::commit::{Operation, WriteMode};
use crate::model::conflicts::Reads;
use crate::model::state::TableState;
use crate::model::stats::num_records;
use crate::ports::{InsertInto, Relation, RowStream, WriteSpec};
use crate::service::arbiter::{
    Committed, NewFiles, Plan, append_plan, delete_files, may_be_committed, txn, write_metrics,
};

/// An append of at most this many rows and bytes is handed to the arbiter as rows, which it can group with others.
const SMALL_ROWS: usize = 10_000;
const SMALL_BYTES: usize = 8 * 1024 * 1024;

/// A table that is about to be written.
pub(super) struct Target {
    pub(super) permit: Permit<tables::Modify>,
    pub(super) folder: Folder,
    pub(super) state: Arc<TableState>,
}

impl Run {
    pub(super) async fn target(&self, name: &Name) -> Result<Target> {
        let permit = self.caller.ask::<tables::Modify>(NameOf::named(self.full_name(name)?)).await?;
        self.held.add(Lease::of(&self.caller, &permit), None);
        let table = catalog_tables::get(&self.lake.governance.db, &permit).await?;
        let (folder, state) = self.open_table_for(&permit, &table, Access::ReadWrite).await?;
        Ok(Target { permit, folder, state })
    }

    pub(super) async fn insert(&self, insert: Insert) -> Result<Answer> {
        if insert.replace_where.is_some() {
            self.may_read(&insert.table).await?;
        }
        let target = self.target(&insert.table).await?;
        let mut into = InsertInto {
            table: target.permit.target().name.to_string(),
            schema: (*target.state.schema).clone(),
            columns: (!insert.columns.is_empty()).then_some(insert.columns),
            by_name: insert.by_name,
        };
        let fixed = partition::fixed(&target.state, insert.partition)?;
        let source = partition::with_values(*insert.source, &mut into, &fixed)?;
        let rows = self.prepare(source, Some(into)).await?.run().await?;
        if let Some(condition) = &insert.replace_where {
            let written = self.replace_where(&target, rows, condition).await?;
            self.written(&target, Some(written));
            return Answer::changed(written, written);
        }
        if insert.overwrite && !fixed.is_empty() {
            let written = self.replace_partition(&target, rows, &fixed).await?;
            self.written(&target, Some(written));
            return Answer::changed(written, written);
        }
        if insert.overwrite {
            let mode = WriteMode::Overwrite;
            let partition_by = target.state.metadata.partition_columns.clone();
            let operation = Operation::Write { mode, partition_by, predicate: None };
            let (written, _) = self.replace_all(&target, rows, operation).await?;
            self.written(&target, Some(written));
            return Answer::changed(written, written);
        }
        let written = self.append(&target, rows).await?;
        self.written(&target, Some(written));
        Answer::changed(written, written)
    }

    fn written(&self, target: &Target, rows: Option<i64>) {
        self.note_written(target.permit.target().id, &target.permit.target().name, rows);
    }

    /// Appends rows; few go through the arbiter's groups, many are written first and committed then.
    async fn append(&self, target: &Target, mut rows: RowStream) -> Result<i64> {
        let (mut first, mut count, mut bytes) = (Vec::new(), 0, 0);
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += batch.num_rows();
            bytes += batch.get_array_memory_size();
            if batch.num_rows() > 0 {
                first.push(batch);
            }
            if count > SMALL_ROWS || bytes > SMALL_BYTES {
                let all: RowStream = Box::pin(stream::iter(first.into_iter().map(Ok)).chain(rows));
                let files = self.write_files(&target.folder, &target.state, all).await?;
                let written = rows_of(files.adds());
                let plan = append_plan(Arc::clone(&target.state), files.adds().to_vec());
                self.commit_files(target, plan, files).await?;
                return Ok(written);
            }
        }
        if count > 0 {
            let table = (target.permit.target().id, &target.folder);
            let read = Arc::clone(&target.state);
            self.lake.follower.append(&self.caller, table, read, first, self.author()).await?;
        }
        Ok(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Replaces all rows of a table; gives how many were written and how many files went.
    pub(super) async fn replace_all(
        &self,
        target: &Target,
        rows: RowStream,
        operation: Operation,
    ) -> Result<(i64, usize)> {
        let files = self.write_files(&target.folder, &target.state, rows).await?;
        let adds = files.adds();
        let now = crannog_kit::clock::now().millis();
        let removes: Vec<Action> =
            target.state.files.iter().map(|add| Action::Remove(add.to_remove(now, true))).collect();
        let mut metrics = write_metrics(adds);
        let removed = removes.len();
        metrics.insert("numRemovedFiles".to_owned(), i64::try_from(removed).unwrap_or(i64::MAX));
        let plan = Plan {
            read: Arc::clone(&target.state),
            reads: Reads::WholeTable,
            operation,
            metrics,
            actions: removes.into_iter().chain(adds.iter().cloned().map(Action::Add)).collect(),
        };
        let written = rows_of(adds);
        self.commit_files(target, plan, files).await?;
        Ok((written, removed))
    }

    /// Replaces the files of the partitions that have these values.
    async fn replace_partition(&self, target: &Target, rows: RowStream, fixed: &[partition::Fixed]) -> Result<i64> {
        let mut removes = Vec::new();
        let now = crannog_kit::clock::now().millis();
        for add in target.state.files.iter() {
            if partition::has(&add.partition_values, fixed)? {
                removes.push(Action::Remove(add.to_remove(now, true)));
            }
        }
        let files = self.write_files(&target.folder, &target.state, rows).await?;
        let adds = files.adds();
        let written = rows_of(adds);
        let mut metrics = write_metrics(adds);
        metrics.insert("numRemovedFiles".to_owned(), i64::try_from(removes.len()).unwrap_or(i64::MAX));
        let predicate = Some(partition::predicate(fixed));
        let partition_by = target.state.metadata.partition_columns.clone();
        let plan = Plan {
            read: Arc::clone(&target.state),
            reads: Reads::WholeTable,
            operation: Operation::Write { mode: WriteMode::Overwrite, partition_by, predicate },
            metrics,
            actions: removes.into_iter().chain(adds.iter().cloned().map(Action::Add)).collect(),
        };
        self.commit_files(target, plan, files).await?;
        Ok(written)
    }

    pub(super) async fn truncate(&self, table: &Name) -> Result<Answer> {
        let target = self.target(table).await?;
        let removed = target.state.files.rows();
        if !target.state.files.is_empty() {
            self.replace_all(&target, Box::pin(stream::empty()), Operation::Truncate).await?;
        }
        self.written(&target, None);
        Answer::table(&[("num_affected_rows", Type::Long)], &[vec![removed.map_or(Cell::Null, Cell::Number)]])
    }

    pub(super) async fn copy_into(&self, copy: CopyInto) -> Result<Answer> {
        let target = self.target(&copy.table).await?;
        let mut force = false;
        for (key, value) in &copy.copy_options {
            match key.to_ascii_lowercase().as_str() {
                "force" => force = value.eq_ignore_ascii_case("true"),
                _ => {
                    return Err(Problem::invalid(format!("COPY_OPTIONS does not know {key:?}"))
                        .hint("force = 'true' loads files again that were loaded before"));
                }
            }
        }
        let path = match &copy.source {
            CopySource::Path(path) | CopySource::Query { path, .. } => path.clone(),
        };
        let format = format_of(Some(&copy.file_format), &path)?;
        let options =
            copy.format_options.iter().map(|(key, value)| (key.to_ascii_lowercase(), value.clone())).collect();
        let pattern = copy.pattern.as_deref().map(glob).transpose()?;
        let asked: Vec<&str> = copy.files.iter().map(|file| file.trim_matches('/')).collect();
        let base = path.split('/').filter(|part| !part.is_empty()).skip(4).collect::<Vec<_>>().join("/");
        let inside =
            |file: &FileMeta| file.path.strip_prefix(&base).unwrap_or(&file.path).trim_start_matches('/').to_owned();
        let wanted = |file: &FileMeta| {
            let name = inside(file);
            (asked.is_empty() || asked.contains(&name.as_str()))
                && pattern.as_ref().is_none_or(|pattern| matches(pattern, name.as_bytes()))
        };
        let mut scan = self.files(&self.scope(), &path, format, options, wanted).await?;
        let app_id = |file: &FileMeta| copied_file(&scan.shown_as, file);
        let loaded = |file: &FileMeta| !force && target.state.txns.contains_key(&app_id(file));
        let fresh: Vec<FileMeta> = scan.files.iter().filter(|file| !loaded(file)).cloned().collect();
        let columns = [
            ("num_affected_rows", Type::Long),
            ("num_inserted_rows", Type::Long),
            ("num_skipped_corrupt_files", Type::Long),
        ];
        if fresh.is_empty() {
            return Answer::table(&columns, &[vec![0.into(), 0.into(), 0.into()]]);
        }
        let mut txns = Vec::with_capacity(fresh.len());
        for file in &fresh {
            let app_id = app_id(file);
            let before = target.state.txns.get(&app_id).map_or(0, |txn| txn.version);
            txns.push(txn(app_id, before + 1));
        }
        scan.files = fresh;
        let query = match copy.source {
            CopySource::Query { query, .. } => *query,
            CopySource::Path(path) => {
                // Values are read as the types of the columns that they go to, so that a bad one is named by its place.
                scan.schema = Some((*target.state.schema).clone());
                *grammar::parse_query(&format!("SELECT * FROM {}", path_name(&path)))?
            }
        };
        let into = InsertInto {
            table: target.permit.target().name.to_string(),
            schema: (*target.state.schema).clone(),
            columns: (!copy.columns.is_empty()).then_some(copy.columns),
            by_name: true,
        };
        let key = key_of(&path_name(&path), &self.session.catalog, &self.session.schema)?;
        let relations = [(key, Relation::Files(scan))].into();
        let rows = self.plan(query, relations, Some(into)).await?.run().await?;
        let files = self.write_files(&target.folder, &target.state, rows).await?;
        let adds = files.adds();
        let written = rows_of(adds);
        let plan = Plan {
            read: Arc::clone(&target.state),
            reads: Reads::Nothing,
            operation: Operation::CopyInto,
            metrics: write_metrics(adds),
            actions: txns.into_iter().chain(adds.iter().cloned().map(Action::Add)).collect(),
        };
        self.commit_files(&target, plan, files).await?;
        self.written(&target, Some(written));
        Answer::table(&columns, &[vec![written.into(), written.into(), 0.into()]])
    }

    /// Writes rows as data files that no commit names yet.
    pub(super) async fn write_files(&self, folder: &Folder, state: &TableState, rows: RowStream) -> Result<NewFiles> {
        let spec = WriteSpec {
            schema: (*state.schema).clone(),
            metadata: (*state.metadata).clone(),
            now: crannog_kit::clock::now(),
        };
        self.lake.arbiter.write(folder, spec, rows).await
    }

    pub(super) async fn commit_files(&self, target: &Target, plan: Plan, files: NewFiles) -> Result<Committed> {
        self.commit(target.permit.target().id, &target.folder, plan, files, false).await
    }

    /// Commits, in a task that a cancel does not end; when that is refused the data files go. `followed`: the answer waits
    /// until the catalog knows of it.
    pub(super) async fn commit(
        &self,
        table: SecurableId,
        folder: &Folder,
        plan: Plan,
        files: NewFiles,
        followed: bool,
    ) -> Result<Committed> {
        let (arbiter, at, author) = (Arc::clone(&self.lake.arbiter), folder.clone(), self.author());
        let work = async move {
            let adds = files.into_commit();
            let committed = arbiter.commit(&at, plan, &author).await;
            if committed.as_ref().is_err_and(|problem| !may_be_committed(problem)) {
                delete_files(&at, &adds).await;
            }
            committed
        };
        self.lake.follower.commit(&self.caller, (table, folder), followed, work).await
    }
}

pub(super) fn rows_of(adds: &[Add]) -> i64 {
    adds.iter().filter_map(|add| num_records(add.stats.as_deref())).sum()
}

/// The application id under which a loaded file is recorded in the table's log: a file that changed is another file.
fn copied_file(shown_as: &str, file: &FileMeta) -> String {
    let mut hash = Sha256::new();
    for part in [shown_as, &file.path, &file.size.to_string(), &file.modified.0.to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("crannog-copy-into-{digest}")
}

/// One step of a PATTERN: `*`, `?`, a set, or a byte.
enum Step {
    Any,
    One,
    Byte(u8),
}

fn glob(pattern: &str) -> Result<Vec<Step>> {
    if pattern.contains(['[', '{', '\\']) {
        return Err(Problem::new(Code::Unimplemented, format!("the pattern {pattern:?} has sets or escapes"))
            .hint("patterns may use * and ?"));
    }
    Ok(pattern
        .bytes()
        .map(|byte| match byte {
            b'*' => Step::Any,
            b'?' => Step::One,
            other => Step::Byte(other),
        })
        .collect())
}

/// Greedy with one way back: linear in practice and never exponential.
fn matches(pattern: &[Step], text: &[u8]) -> bool {
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(Step::Any) => {
                back = Some((p, t));
                p += 1;
            }
            Some(Step::One) => (p, t) = (p + 1, t + 1),
            Some(Step::Byte(byte)) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match back {
                Some((star, at)) => {
                    back = Some((star, at + 1));
                    (p, t) = (star + 1, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|step| matches!(step, Step::Any))
}

#[cfg(test)]
mod tests {
    use super::{glob, matches};

    #[test]
    fn patterns_match_like_globs() {
        for (pattern, text, expected) in [
            ("*.csv", "a/b.csv", true),
            ("*.csv", "a.json", false),
            ("2013-??.csv", "2013-01.csv", true),
            ("2013-??.csv", "2013-1.csv", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("", "", true),
        ] {
            assert_eq!(matches(&glob(pattern).unwrap(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
