//! The part of lineage that clients of MLflow tell: the tables that runs read, and what versions of models were made by and of.
//!
//! A client may say anything. What is recorded is what is there and the caller may read: a table that a dataset or a header
//! names is looked for as the caller, and one that they may not select from is as one that is not there. What a client says
//! of a table's id has to be so; a version of a table is as the run says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_governance::model::lineage::{Flow, Node, NodeType, Part};
use crannog_governance::service::tables as governed;
use crannog_security::actions::{Action, logged_models as models, runs, tables};
use crannog_security::{Caller, Decision, Evidence, Kind, Reference, Target};
use crannog_store::Db;
use crannog_types::{FullName, Result, SecurableId};
use serde::Deserialize;

use super::inputs::CONTEXT;
use super::logged_models::OF_MODEL;
use super::runs::OF_RUN;
use crate::model::runs::DatasetInput;

/// Tables of one request that are looked for; MLflow's client names ten in the header.
const MOST: usize = 100;

/// What a version of a model was made by and of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whence {
    /// The run and the logged model.
    pub part: Option<Part>,
    /// Tables.
    pub sources: Vec<Node>,
}

/// A table as clients name it.
#[derive(Debug, Deserialize)]
struct Named {
    #[serde(alias = "delta_table_name")]
    name: Option<String>,
    #[serde(alias = "delta_table_id")]
    table_id: Option<String>,
    #[serde(alias = "delta_table_version")]
    version: Option<serde_json::Value>,
}

impl Named {
    /// MLflow's client leaves the number out when it is 0; others send it as a text.
    fn version(&self) -> Option<i64> {
        let version = self.version.as_ref()?;
        version.as_i64().or_else(|| version.as_str()?.parse().ok()).filter(|version| *version >= 0)
    }
}

/// The tables that datasets are of.
pub async fn of_datasets(
    db: &Db,
    caller: &Caller,
    evidence: &dyn Evidence,
    datasets: &[DatasetInput],
) -> Result<Vec<Flow>> {
    let mut flows = Vec::new();
    for dataset in datasets.iter().filter(|dataset| dataset.source_type == "delta_table").take(MOST) {
        let Ok(named) = serde_json::from_str::<Named>(&dataset.source) else { continue };
        if let Some(source) = table(db, caller, evidence, &named).await? {
            let context = dataset.tags.iter().find(|tag| tag.key == CONTEXT).map(|tag| tag.value.clone());
            flows.push(Flow { source: Some(source), target: None, context });
        }
    }
    Ok(flows)
}

impl Whence {
    /// What a client says of a version, as far as the caller may read it.
    pub async fn of(
        db: &Db,
        caller: &Caller,
        evidence: &dyn Evidence,
        (run_id, model_id): (Option<&str>, Option<&str>),
        header: Option<&str>,
    ) -> Result<Self> {
        let run = match run_id {
            Some(id) => allowed(caller, runs::Read::RULE, &Reference::Found(&OF_RUN, id.to_owned())).await?,
            None => None,
        };
        let model = match model_id {
            Some(id) => allowed(caller, models::Read::RULE, &Reference::Found(&OF_MODEL, id.to_owned())).await?,
            None => None,
        };
        // Both are of one experiment, or the model is left out.
        let experiment = run.as_ref().or(model.as_ref()).map(|target| target.id);
        let part = experiment.map(|experiment| Part {
            experiment,
            run_id: run.and(run_id.map(str::to_owned)),
            model_id: model.filter(|model| model.id == experiment).and(model_id.map(str::to_owned)),
        });
        let mut sources: Vec<Node> = Vec::new();
        for named in header.map(of_header).unwrap_or_default().iter().take(MOST) {
            let found = table(db, caller, evidence, named).await?;
            sources.extend(found.filter(|found| !sources.contains(found)));
        }
        Ok(Whence { part, sources })
    }

    /// What flowed into a version: from its run, and from each table.
    pub(crate) fn flows(&self, model: &Target, version: i64) -> Vec<Flow> {
        let (id, name) = (model.id, model.name.clone());
        let target = Node { id, node_type: NodeType::ModelVersion, name, path: None, version: Some(version) };
        let of = |source: Option<Node>| Flow { source, target: Some(target.clone()), context: None };
        let by_run = self.part.iter().map(|_| of(None));
        by_run.chain(self.sources.iter().map(|source| of(Some(source.clone())))).collect()
    }
}

/// The tables that the header names; none when it is not as MLflow's client sends it.
fn of_header(header: &str) -> Vec<Named> {
    #[derive(Deserialize)]
    struct Info {
        #[serde(default)]
        lineages: Vec<Upstream>,
    }
    #[derive(Deserialize)]
    struct Upstream {
        #[serde(default)]
        source_securables: Vec<Securable>,
    }
    #[derive(Deserialize)]
    struct Securable {
        table: Option<Named>,
    }
    let json = STANDARD.decode(header.trim()).unwrap_or_default();
    let Ok(info) = serde_json::from_slice::<Info>(&json) else { return Vec::new() };
    let securables = info.lineages.into_iter().flat_map(|upstream| upstream.source_securables);
    securables.filter_map(|securable| securable.table).collect()
}

/// A table that the caller may read, if it is the one that is named.
async fn table(db: &Db, caller: &Caller, evidence: &dyn Evidence, named: &Named) -> Result<Option<Node>> {
    let Some(Ok(name)) = named.name.as_deref().map(|name| FullName::parse(name, 3)) else { return Ok(None) };
    let about = Reference::Named(Kind::Table, name);
    let Some(found) = allowed(caller, tables::Select::RULE, &about).await? else { return Ok(None) };
    let id = named.table_id.as_deref().filter(|id| !id.is_empty());
    if id.is_some_and(|id| id.parse().map(SecurableId) != Ok(found.id)) {
        return Ok(None);
    }
    let view = governed::is_view(db, evidence, found.id).await?;
    let node_type = if view { NodeType::View } else { NodeType::Table };
    let version = named.version().filter(|_| !view);
    Ok(Some(Node { id: found.id, node_type, name: found.name, path: None, version }))
}

/// What is there and allowed; that it is not is nothing for the audit: nobody asked to read it.
async fn allowed(caller: &Caller, rule: crannog_security::Rule, about: &Reference) -> Result<Option<Target>> {
    let (found, decision) = caller.explain(rule, about).await?;
    Ok(found.filter(|_| matches!(decision, Decision::Allowed(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_mlflow_sends_them() {
        let sent = r#"{"entities": [{"job": {"id": "7"}}], "lineages": [{"source_securables": [
            {"table": {"name": "main.flights.flights", "table_id": "0a"}}, {}]}]}"#;
        let named = of_header(&STANDARD.encode(sent));
        assert_eq!(named.len(), 1);
        assert_eq!(named[0].name.as_deref(), Some("main.flights.flights"));
        assert_eq!(named[0].table_id.as_deref(), Some("0a"));
        assert_eq!(named[0].version(), None);
        for sent in ["", "{}", "[]", "not JSON", r#"{"lineages": 3}"#] {
            assert!(of_header(&STANDARD.encode(sent)).is_empty() && of_header(sent).is_empty(), "{sent}");
        }
    }

    #[test]
    fn datasets_say_their_table_and_maybe_its_version() {
        let version = |text: &str| serde_json::from_str::<Named>(text).unwrap().version();
        assert_eq!(version(r#"{"delta_table_name": "a.b.c", "delta_table_version": 3}"#), Some(3));
        assert_eq!(version(r#"{"delta_table_name": "a.b.c", "delta_table_version": "3"}"#), Some(3));
        assert_eq!(version(r#"{"delta_table_name": "a.b.c", "delta_table_version": -1}"#), None);
        assert_eq!(version(r#"{"delta_table_name": "a.b.c", "is_databricks_uc_table": true}"#), None);
    }
}
