//! MLflow's search grammar: what a filter asks for, and in which order.
//!
//! Conditions as MLflow reads them, joined by AND; more than MLflow's: OR, parentheses, IN and NOT IN on parameters and tags.
//! What MLflow refuses as an invalid parameter is refused in its words, which its own tests compare; sets of names in them
//! are in the alphabet's order, where Python's is another in each process. `cases.txt` holds what MLflow says.
//!
//! Pure: which tables answer, and what a missing value means there, is `sql`'s.

mod comparators;
mod group;
mod order;
mod parse;
pub(crate) mod python;
#[cfg(test)]
mod tests;
mod token;
mod tokens;
mod values;

pub use order::{
    ModelOrder, Order, check_count, experiments_order, logged_models_order, model_versions_order,
    registered_models_order, runs_order,
};
pub use token::{KeyValue, PageToken, at_most, tracking_max_results};

use crannog_types::{Problem, Result};

/// What is searched for: each kind has its own names and comparators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// Runs of experiments.
    Runs,
    /// Experiments.
    Experiments,
    /// Registered models.
    RegisteredModels,
    /// Versions of registered models.
    ModelVersions,
    /// What runs logged as models.
    LoggedModels,
}

/// A condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Each of them; of none: no condition.
    All(Vec<Filter>),
    /// At least one of them.
    Any(Vec<Filter>),
    /// One comparison.
    Compare(Compare),
}

/// `key operator value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// What is compared.
    pub key: Key,
    /// How.
    pub operator: Operator,
    /// With what; the operator and the key say of which kind.
    pub value: Value,
}

/// What is compared, or ordered by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A property of the entity itself, by its one name: aliases are resolved.
    Attribute(&'static str),
    /// The latest value of a metric.
    Metric(String),
    /// A parameter.
    Param(String),
    /// A tag.
    Tag(String),
    /// Of a dataset that the run used: `name`, `digest`, `context`.
    Dataset(&'static str),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `LIKE`: `%` any characters, `_` one; upper and lower case differ.
    Like,
    /// `ILIKE`: the same, whatever the case.
    ILike,
    /// `IN`
    In,
    /// `NOT IN`
    NotIn,
    /// `IS NULL`: not there.
    IsNull,
    /// `IS NOT NULL`
    IsNotNull,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Of `IS NULL` and `IS NOT NULL`.
    Nothing,
    /// A whole number.
    Int(i64),
    /// Another number; may be infinite.
    Real(f64),
    /// A text.
    Text(String),
    /// A list of texts, never empty.
    List(Vec<String>),
}

impl Filter {
    /// Reads a filter; an empty text is no condition.
    ///
    /// # Errors
    /// In MLflow's words, what it cannot be.
    pub fn parse(entity: Entity, text: &str) -> Result<Filter> {
        parse::parse(entity, text)
    }

    /// No condition.
    pub fn everything() -> Filter {
        Filter::All(Vec::new())
    }

    /// The conditions that all hold: those that AND joins at the top.
    pub fn terms(&self) -> &[Filter] {
        match self {
            Filter::All(terms) => terms,
            other => std::slice::from_ref(other),
        }
    }

    /// Whether a filter over models asks for prompts, which are models with a tag; and the filter without that tag. Models
    /// have no such tag, and searches for them say that it is not `true`: they want models, not models with another value.
    pub fn prompts(self) -> (bool, Filter) {
        let of_prompts = |term: &Filter| match term {
            Filter::Compare(compare) => compare.key == Key::Tag(IS_PROMPT.to_owned()),
            _ => false,
        };
        let asked = self.terms().iter().find(|term| of_prompts(term)).is_some_and(|term| match term {
            Filter::Compare(Compare { operator, value: Value::Text(value), .. }) => {
                let value = value.to_lowercase();
                *operator == Operator::Equal && value == "true" || *operator == Operator::NotEqual && value == "false"
            }
            _ => false,
        });
        if asked {
            return (true, self);
        }
        let terms = match self {
            Filter::All(terms) => terms,
            other => vec![other],
        };
        (false, Filter::All(terms.into_iter().filter(|term| !of_prompts(term)).collect()))
    }
}

/// Filters and items of `order_by` are no longer: what reads them may take its time with each character.
const MAX_TEXT: usize = 64 << 10;

fn check_length(what: &str, text: &str) -> Result<()> {
    if text.len() > MAX_TEXT {
        let length = text.len();
        return Err(Problem::invalid(format!("{what} has at most {MAX_TEXT} bytes, not {length}")));
    }
    Ok(())
}

/// The tag that makes a registered model a prompt.
pub const IS_PROMPT: &str = "mlflow.prompt.is_prompt";
