//! MLflow's folder (`mlruns`), its store without a database: a folder an experiment, below it one a run, and files in these.
//!
//! What is known of runs and models is read at the beginning; what they logged when it is their turn. A folder has no moment at which it
//! can be read as a whole: nobody should write to it meanwhile. A file that cannot be read is reported, and the rest goes on.

mod registry;
mod yaml;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::imports::{Experiment, LoggedModel, MadeBy, ModelPoint, Run, RunKey};
use crannog_tracking::model::runs::{DatasetInput, Metric};

use self::yaml::Meta;
use super::places::location;
use super::source::{FILES, Holders, Home, MODELS, RUNS, status_of_model};
use crate::cli::Failure;

/// Folders of an experiment that are no runs.
const NO_RUNS: [&str; 5] = ["models", "datasets", "tags", "traces", "assessments"];

/// The statuses of a run, by their numbers.
const STATUSES: [&str; 6] = ["", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"];

/// A folder of MLflow.
pub(in crate::cli::import) struct Folder {
    root: PathBuf,
    /// What relative paths are below.
    pub(in crate::cli::import) above: PathBuf,
    pub(in crate::cli::import) experiments: Vec<Experiment>,
    pub(in crate::cli::import) runs: BTreeMap<String, Found<Run>>,
    models: BTreeMap<String, Found<LoggedModel>>,
    /// How many traces there are.
    pub(in crate::cli::import) traces: u64,
    /// Files that could not be read, and why.
    pub(in crate::cli::import) unreadable: Vec<(String, String)>,
}

/// A thing, its folder, and where it says that its files are.
pub(in crate::cli::import) struct Found<T> {
    thing: T,
    folder: PathBuf,
    address: String,
}

/// By the id of a logged model, the runs that use it and those that made it.
type Links = BTreeMap<String, (Vec<String>, Vec<MadeBy>)>;

impl Folder {
    pub(in crate::cli::import) fn open(root: &Path) -> Result<Self, Failure> {
        let root = root.canonicalize()?;
        let above = root.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned);
        let mut folder = Folder {
            root: root.clone(),
            above,
            experiments: Vec::new(),
            runs: BTreeMap::new(),
            models: BTreeMap::new(),
            traces: 0,
            unreadable: Vec::new(),
        };
        for below in [root.clone(), root.join(".trash")] {
            for experiment in folders(&below)? {
                if experiment.join("meta.yaml").is_file() {
                    folder.experiment(&experiment)?;
                }
            }
        }
        if folder.experiments.is_empty() && !root.join("models").is_dir() {
            let database = root.join("mlflow.db");
            let step = if database.is_file() { format!("; is it {}?", database.display()) } else { String::new() };
            return Err(Failure::new(format!("{} holds no experiments of MLflow{step}", root.display())));
        }
        folder.experiments.sort_by_key(|one| one.id);
        Ok(folder)
    }

    fn meta(&mut self, folder: &Path) -> Option<Meta> {
        let file = folder.join("meta.yaml");
        let read = std::fs::read_to_string(&file).map_err(|error| error.to_string());
        match read.and_then(|text| Meta::parse(&text)) {
            Ok(meta) => Some(meta),
            Err(error) => {
                self.unreadable.push((file.display().to_string(), format!("they cannot be read: {error}")));
                None
            }
        }
    }

    fn experiment(&mut self, folder: &Path) -> Result<(), Failure> {
        let Some(meta) = self.meta(folder) else { return Ok(()) };
        let Some(id) = meta.int("experiment_id") else { return Ok(()) };
        let created_ms = meta.int("creation_time").unwrap_or_default();
        self.experiments.push(Experiment {
            id,
            name: meta.text("name").unwrap_or_default(),
            artifact_location: location(id, &meta.text("artifact_location").unwrap_or_default()),
            deleted: is_deleted(&meta),
            created_ms,
            updated_ms: meta.int("last_update_time").unwrap_or(created_ms),
            tags: pairs(&folder.join("tags"))?,
        });
        for run in folders(folder)? {
            let name = run.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !NO_RUNS.contains(&name.as_str()) && run.join("meta.yaml").is_file() {
                self.run(id, &run)?;
            }
        }
        for model in folders(&folder.join("models"))? {
            self.model(id, &model)?;
        }
        self.traces += folders(&folder.join("traces"))?.len() as u64;
        Ok(())
    }

    fn run(&mut self, experiment: i64, folder: &Path) -> Result<(), Failure> {
        let Some(meta) = self.meta(folder) else { return Ok(()) };
        let Some(run_id) = meta.text("run_id").or_else(|| meta.text("run_uuid")) else { return Ok(()) };
        let status = usize::try_from(meta.int("status").unwrap_or(3)).ok().and_then(|at| STATUSES.get(at));
        let run = Run {
            key: RunKey { run_id: run_id.clone(), experiment_id: experiment, start_ms: meta.int("start_time") },
            part: Default::default(),
            name: meta.text("run_name").unwrap_or_default(),
            user_id: meta.text("user_id").unwrap_or_default(),
            status: status.copied().unwrap_or("FINISHED").to_owned(),
            end_ms: meta.int("end_time"),
            deleted: is_deleted(&meta),
            deleted_ms: meta.int("deleted_time"),
            params: Vec::new(),
            tags: Vec::new(),
            datasets: Vec::new(),
            points: String::new(),
        };
        let address = meta.text("artifact_uri").unwrap_or_default();
        self.runs.insert(run_id, Found { thing: run, folder: folder.to_owned(), address });
        Ok(())
    }

    fn model(&mut self, experiment: i64, folder: &Path) -> Result<(), Failure> {
        let Some(meta) = self.meta(folder) else { return Ok(()) };
        let Some(model_id) = meta.text("model_id") else { return Ok(()) };
        let created_ms = meta.int("creation_timestamp").unwrap_or_default();
        let model = LoggedModel {
            model_id: model_id.clone(),
            experiment_id: experiment,
            name: meta.text("name").unwrap_or_default(),
            model_type: meta.text("model_type").unwrap_or_default(),
            source_run_id: meta.text("source_run_id").unwrap_or_default(),
            status: status_of_model(meta.int("status").unwrap_or_default()).to_owned(),
            status_message: meta.text("status_message"),
            deleted: is_deleted(&meta),
            created_ms,
            updated_ms: meta.int("last_updated_timestamp").unwrap_or(created_ms),
            params: pairs(&folder.join("params"))?,
            tags: pairs(&folder.join("tags"))?,
            metrics: Vec::new(),
            used_by: Vec::new(),
            made_by: Vec::new(),
        };
        let address = meta.text("artifact_location").unwrap_or_default();
        self.models.insert(model_id, Found { thing: model, folder: folder.to_owned(), address });
        Ok(())
    }

    pub(in crate::cli::import) fn runs_behind(&self, last: Option<&str>) -> Vec<Run> {
        behind(&self.runs, last).take(RUNS as usize).map(|(_, found)| found.thing.clone()).collect()
    }

    /// Reads what runs logged, but for their points; and what models they made and used, for when it is the models' turn.
    pub(in crate::cli::import) fn logged(&mut self, runs: &mut [Run]) -> Result<(), Failure> {
        for run in runs {
            let Some(folder) = self.runs.get(&run.key.run_id).map(|found| found.folder.clone()) else { continue };
            run.params = pairs(&folder.join("params"))?;
            run.tags = pairs(&folder.join("tags"))?;
            if run.name.is_empty() {
                let tag = run.tags.iter().find(|tag| tag.key == "mlflow.runName");
                run.name = tag.map(|tag| tag.value.clone()).unwrap_or_default();
            }
            for input in folders(&folder.join("inputs"))? {
                let Some(meta) = self.meta(&input) else { continue };
                let (Some("DATASET"), Some(id)) = (meta.text("source_type").as_deref(), meta.text("source_id")) else {
                    continue;
                };
                let at = folder.parent().unwrap_or(&folder).join("datasets").join(&id);
                if id.contains(['/', '\\']) {
                    continue;
                }
                let Some(dataset) = self.meta(&at) else { continue };
                let text = |name: &str| dataset.text(name);
                let tag = |(key, value): (String, String)| Tag { key, value };
                run.datasets.push(DatasetInput {
                    name: text("name").unwrap_or_default(),
                    digest: text("digest").unwrap_or_default(),
                    source_type: text("source_type").unwrap_or_default(),
                    source: text("source").unwrap_or_default(),
                    schema: text("schema"),
                    profile: text("profile"),
                    tags: meta.map("tags").into_iter().map(tag).collect(),
                });
            }
        }
        Ok(())
    }

    pub(in crate::cli::import) fn points(&mut self, ids: &[String]) -> Result<Points, Failure> {
        let mut files = VecDeque::new();
        for id in ids {
            let Some(found) = self.runs.get(id) else { continue };
            let mut below = Vec::new();
            below_of(&found.folder.join("metrics"), String::new(), &mut below)?;
            files.extend(below.into_iter().map(|(key, file)| (id.clone(), key, file)));
        }
        Ok(Points { files, read: VecDeque::new() })
    }

    /// The next logged models behind an id, with everything that is said of them.
    pub(in crate::cli::import) fn models_behind(&mut self, last: Option<&str>) -> Result<Vec<LoggedModel>, Failure> {
        let some: Vec<(LoggedModel, PathBuf)> = behind(&self.models, last)
            .take(MODELS)
            .map(|(_, found)| (found.thing.clone(), found.folder.clone()))
            .collect();
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let links = self.links()?;
        let mut models = Vec::with_capacity(some.len());
        for (mut model, folder) in some {
            let mut files = Vec::new();
            below_of(&folder.join("metrics"), String::new(), &mut files)?;
            for (key, file) in files {
                for line in std::fs::read_to_string(&file)?.lines() {
                    // Time, value, step, run, and the dataset when there is one.
                    let words: Vec<&str> = line.split_whitespace().collect();
                    let [time, value, step, run_id, rest @ ..] = words.as_slice() else { continue };
                    let word = |at: usize| rest.get(at).copied().unwrap_or_default().to_owned();
                    let value: f64 = value.parse().unwrap_or(f64::NAN);
                    model.metrics.push(ModelPoint {
                        run_id: (*run_id).to_owned(),
                        key: key.clone(),
                        value: (!value.is_nan()).then(|| crannog_tracking::model::runs::stored(value)),
                        time_ms: time.parse().unwrap_or_default(),
                        step: step.parse().unwrap_or_default(),
                        dataset_name: word(0),
                        dataset_digest: word(1),
                    });
                }
            }
            if let Some((used, made)) = links.get(&model.model_id) {
                (model.used_by, model.made_by) = (used.clone(), made.clone());
            }
            models.push(model);
        }
        Ok(models)
    }

    /// Which runs used and made which logged models: runs say it.
    fn links(&mut self) -> Result<Links, Failure> {
        let mut links = Links::new();
        let runs: Vec<(String, PathBuf)> =
            self.runs.iter().map(|(id, found)| (id.clone(), found.folder.clone())).collect();
        for (run_id, folder) in runs {
            for input in folders(&folder.join("inputs"))? {
                let Some(meta) = self.meta(&input) else { continue };
                if meta.text("source_type").is_some_and(|kind| kind != "DATASET")
                    && let Some(model) = meta.text("source_id")
                {
                    links.entry(model).or_default().0.push(run_id.clone());
                }
            }
            for output in folders(&folder.join("outputs"))? {
                let Some(meta) = self.meta(&output) else { continue };
                if let Some(model) = meta.text("destination_id") {
                    let step = meta.int("step").unwrap_or_default();
                    links.entry(model).or_default().1.push(MadeBy { run_id: run_id.clone(), step });
                }
            }
        }
        Ok(links)
    }

    pub(in crate::cli::import) fn homes_behind(&self, of: Holders, last: Option<&str>) -> Vec<Home> {
        match of {
            Holders::Runs => behind(&self.runs, last).take(FILES).map(home_of_run).collect(),
            Holders::Models => behind(&self.models, last).take(FILES).map(home_of_model).collect(),
        }
    }

    pub(in crate::cli::import) fn homes_of(&self, of: Holders, ids: &BTreeSet<String>) -> Vec<Home> {
        match of {
            Holders::Runs => ids.iter().filter_map(|id| self.runs.get_key_value(id)).map(home_of_run).collect(),
            Holders::Models => ids.iter().filter_map(|id| self.models.get_key_value(id)).map(home_of_model).collect(),
        }
    }
}

fn home_of_run((id, found): (&String, &Found<Run>)) -> Home {
    Home { id: id.clone(), experiment: found.thing.key.experiment_id, address: found.address.clone() }
}

fn home_of_model((id, found): (&String, &Found<LoggedModel>)) -> Home {
    Home { id: id.clone(), experiment: found.thing.experiment_id, address: found.address.clone() }
}

fn behind<'a, T>(all: &'a BTreeMap<String, T>, last: Option<&'a str>) -> impl Iterator<Item = (&'a String, &'a T)> {
    use std::ops::Bound;
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    all.range::<str, _>((from, Bound::Unbounded))
}

/// Points of some runs, a file at a time.
pub(in crate::cli::import) struct Points {
    /// The run, the metric and the file.
    files: VecDeque<(String, String, PathBuf)>,
    read: VecDeque<(String, Metric)>,
}

impl Points {
    pub(in crate::cli::import) fn next(&mut self) -> Result<Option<(String, Metric)>, Failure> {
        loop {
            if let Some(next) = self.read.pop_front() {
                return Ok(Some(next));
            }
            let Some((run, key, file)) = self.files.pop_front() else { return Ok(None) };
            for line in std::fs::read_to_string(&file)?.lines() {
                // Time, value, and the step since 1.0; then what dataset it is of.
                let mut words = line.split_whitespace();
                let (Some(time), Some(value)) = (words.next(), words.next()) else { continue };
                let metric = Metric {
                    key: key.clone(),
                    value: value.parse().unwrap_or(f64::NAN),
                    time_ms: time.parse().unwrap_or_default(),
                    step: words.next().and_then(|step| step.parse().ok()).unwrap_or_default(),
                };
                self.read.push_back((run.clone(), metric));
            }
        }
    }
}

/// The folders in a folder, by name; none when it is not there.
fn folders(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found: Vec<PathBuf> =
        entries(folder)?.into_iter().filter(|(_, is_folder)| *is_folder).map(|(p, _)| p).collect();
    found.sort();
    Ok(found)
}

/// Files and folders in a folder, but no links.
fn entries(folder: &Path) -> Result<Vec<(PathBuf, bool)>, Failure> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::new(format!("{} cannot be read: {error}", folder.display()))),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() || kind.is_file() {
            found.push((entry.path(), kind.is_dir()));
        }
    }
    Ok(found)
}

/// Every file below a folder with its path, which is the name of a metric, a parameter or a tag.
fn below_of(folder: &Path, above: String, found: &mut Vec<(String, PathBuf)>) -> Result<(), Failure> {
    for (path, is_folder) in entries(folder)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
        match is_folder {
            true => below_of(&path, name, found)?,
            false => found.push((name, path)),
        }
    }
    Ok(())
}

/// Names and values: a file each.
fn pairs(folder: &Path) -> Result<Vec<Tag>, Failure> {
    let mut files = Vec::new();
    below_of(folder, String::new(), &mut files)?;
    files.sort();
    let mut found = Vec::with_capacity(files.len());
    for (key, file) in files {
        let value = String::from_utf8_lossy(&std::fs::read(&file)?).into_owned();
        found.push(Tag { key, value });
    }
    Ok(found)
}

fn is_deleted(meta: &Meta) -> bool {
    meta.text("lifecycle_stage").is_some_and(|stage| stage == "deleted")
}
