//! What flowed from where to where.

use crannog_security::Who;
use crannog_types::{FullName, Micros, SecurableId};

/// What is read or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// A table.
    Table,
    /// A view.
    View,
    /// Files of a volume.
    Path,
    /// A version of a registered model.
    ModelVersion,
}

impl NodeType {
    /// The word of Databricks' `source_type` and `target_type`.
    pub fn word(self) -> &'static str {
        match self {
            NodeType::Table => "TABLE",
            NodeType::View => "VIEW",
            NodeType::Path => "PATH",
            NodeType::ModelVersion => "MODEL_VERSION",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        [NodeType::Table, NodeType::View, NodeType::Path, NodeType::ModelVersion].into_iter().find(|t| t.word() == word)
    }
}

/// One end of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// The table, view, volume or model.
    pub id: SecurableId,
    /// What of it.
    pub node_type: NodeType,
    /// Its full name.
    pub name: FullName,
    /// Of files: `/Volumes/…`.
    pub path: Option<String>,
    /// Of a table, the version that was read where that is known; of a model, its version.
    pub version: Option<i64>,
}

/// Data that went from one end to the other. One end may be open: what was read and not written to anything governed, and
/// what was written and comes from nothing governed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Where it came from.
    pub source: Option<Node>,
    /// Where it went.
    pub target: Option<Node>,
    /// What a run used it for, as it says: `training`.
    pub context: Option<String>,
}

/// The part that MLflow has in a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The experiment of the run, or of the logged model.
    pub experiment: SecurableId,
    /// The run.
    pub run_id: Option<String>,
    /// The logged model that a version is of.
    pub model_id: Option<String>,
}

/// One statement or request, and what flowed by it.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// When.
    pub at: Micros,
    /// Who did it.
    pub who: &'a Who,
    /// The statement. Flows of statements are recorded once an hour for each who; others once.
    pub statement: Option<&'a str>,
    /// The run, where there is one.
    pub part: Option<&'a Part>,
    /// What flowed.
    pub flows: &'a [Flow],
}

/// A flow as it was recorded. Names are those of today; of what is gone, those of then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Of the row.
    pub record_id: String,
    /// Of all rows of one statement or request.
    pub event_id: String,
    /// When.
    pub at: Micros,
    /// Who did it.
    pub who: String,
    /// The statement.
    pub statement: Option<String>,
    /// The experiment's id, as clients know it.
    pub experiment: Option<String>,
    /// The run.
    pub run_id: Option<String>,
    /// The logged model.
    pub model_id: Option<String>,
    /// What flowed.
    pub flow: Flow,
}
