//! In which order what was found comes.

use crannog_types::{Problem, Result};

use super::comparators::{named, run_attribute};
use super::group::grouped;
use super::tokens::Kind;
use super::values::{Class, EXPERIMENT_ATTRIBUTES, LOGGED_ATTRIBUTES, RUN_ORDERS, entity_key, run_key};
use super::{Key, check_length, python};

/// One key of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// Ordered by this; never a dataset.
    pub key: Key,
    /// The least first. What is not there comes last either way, and before it what is not a number.
    pub ascending: bool,
}

/// One key of the order of logged models.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelOrder {
    /// A metric or an attribute.
    pub order: Order,
    /// Of the metric, only values on this dataset.
    pub dataset_name: Option<String>,
    /// And this state of it.
    pub dataset_digest: Option<String>,
}

/// `order_by` of runs; what comes after it, start and id, is not part of it.
///
/// # Errors
/// In MLflow's words, what it cannot be.
pub fn runs_order(clauses: &[String]) -> Result<Vec<Order>> {
    check_count(clauses)?;
    let mut orders: Vec<Order> = Vec::new();
    for clause in clauses {
        let (written, ascending) = clause_of(clause)?;
        let (class, key) = run_key(written.trim(), RUN_ORDERS)?;
        let key = match class {
            Class::Attribute => Key::Attribute(run_attribute(&key)),
            Class::Metric => Key::Metric(key),
            Class::Param => Key::Param(key),
            Class::Tag => Key::Tag(key),
            Class::Dataset => return Err(Problem::invalid("Invalid identifier type 'dataset'")),
        };
        push(&mut orders, key, ascending, clauses)?;
    }
    Ok(orders)
}

/// `order_by` of experiments, with what MLflow orders by where nobody says, and a last key that no two share.
///
/// # Errors
/// In MLflow's words, what it cannot be.
pub fn experiments_order(clauses: &[String]) -> Result<Vec<Order>> {
    check_count(clauses)?;
    let mut orders = Vec::new();
    for clause in clauses {
        let (written, ascending) = clause_of(clause)?;
        let (class, key) = entity_key(written.trim(), &EXPERIMENT_ATTRIBUTES, true)?;
        if class == Class::Tag {
            return Err(Problem::invalid("Invalid order_by entity: tag"));
        }
        let key = Key::Attribute(named(&key, &EXPERIMENT_ATTRIBUTES));
        // A key again changes nothing.
        if orders.iter().all(|order: &Order| order.key != key) {
            orders.push(Order { key, ascending });
        }
    }
    let id = Key::Attribute("experiment_id");
    if orders.is_empty() {
        orders.push(Order { key: Key::Attribute("creation_time"), ascending: false });
        orders.push(Order { key: id, ascending: true });
    } else if orders.iter().all(|order| order.key != id) {
        orders.push(Order { key: id, ascending: false });
    }
    Ok(orders)
}

/// `order_by` of registered models: `name` and `last_updated_timestamp`, ending with the name.
///
/// # Errors
/// In MLflow's words, what it cannot be.
pub fn registered_models_order(clauses: &[String]) -> Result<Vec<Order>> {
    check_count(clauses)?;
    let mut orders = Vec::new();
    for clause in clauses {
        let (written, ascending) = clause_of(clause)?;
        let written = written.trim();
        let name = match written {
            "name" => "name",
            "timestamp" | "last_updated_timestamp" => "last_updated_timestamp",
            _ => {
                let valid = python::set(&["name", "timestamp"]);
                return Err(Problem::invalid(format!(
                    "Invalid order by key '{written}' specified. Valid keys are '{valid}'"
                )));
            }
        };
        push(&mut orders, Key::Attribute(name), ascending, clauses)?;
    }
    complete(&mut orders, "name", true);
    Ok(orders)
}

/// `order_by` of model versions, ending with name and number.
///
/// # Errors
/// In MLflow's words, what it cannot be.
pub fn model_versions_order(clauses: &[String]) -> Result<Vec<Order>> {
    const KEYS: [&str; 4] = ["name", "version_number", "creation_timestamp", "last_updated_timestamp"];
    check_count(clauses)?;
    let mut orders = Vec::new();
    for clause in clauses {
        let (written, ascending) = clause_of(clause)?;
        let (class, key) = entity_key(written.trim(), &KEYS, true)?;
        if class == Class::Tag {
            let valid = python::set(&KEYS);
            return Err(Problem::invalid(format!("Invalid order by key '{key}' specified. Valid keys are {valid}")));
        }
        push(&mut orders, Key::Attribute(named(&key, &KEYS)), ascending, clauses)?;
    }
    if orders.is_empty() {
        orders.push(Order { key: Key::Attribute("last_updated_timestamp"), ascending: false });
    }
    complete(&mut orders, "name", true);
    complete(&mut orders, "version_number", false);
    Ok(orders)
}

/// One object of `order_by` of logged models.
///
/// # Errors
/// In MLflow's words, what it cannot be.
pub fn logged_models_order(
    field: &str,
    ascending: bool,
    dataset_name: Option<&str>,
    dataset_digest: Option<&str>,
) -> Result<ModelOrder> {
    check_length("A field of order_by", field)?;
    let key = match field.split_once('.') {
        Some(("metrics", name)) => Key::Metric(name.to_owned()),
        Some(_) => {
            return Err(Problem::invalid(format!("Invalid order by field name: {field}. Only metrics are supported.")));
        }
        None => {
            let name = field.trim().strip_suffix("_ms").unwrap_or(field.trim());
            if !LOGGED_ATTRIBUTES.contains(&name) {
                return Err(Problem::invalid(format!("Invalid order by field name: {field}")));
            }
            Key::Attribute(named(name, &LOGGED_ATTRIBUTES))
        }
    };
    Ok(ModelOrder {
        order: Order { key, ascending },
        dataset_name: dataset_name.map(str::to_owned),
        dataset_digest: dataset_digest.map(str::to_owned),
    })
}

/// Each key may be a table more in the query, of which SQLite joins 64 at most.
const MAX_CLAUSES: usize = 16;

/// Refuses an order of too many keys.
///
/// # Errors
/// When there are more than 16.
pub fn check_count<T>(clauses: &[T]) -> Result<()> {
    if clauses.len() > MAX_CLAUSES {
        return Err(Problem::invalid(format!(
            "`order_by` has {} clauses; at most {MAX_CLAUSES} can be ordered by at once.",
            clauses.len()
        )));
    }
    Ok(())
}

fn push(orders: &mut Vec<Order>, key: Key, ascending: bool, clauses: &[String]) -> Result<()> {
    if orders.iter().any(|order| order.key == key) {
        let shown = python::list(clauses);
        return Err(Problem::invalid(format!("`order_by` contains duplicate fields: {shown}")));
    }
    orders.push(Order { key, ascending });
    Ok(())
}

fn complete(orders: &mut Vec<Order>, name: &'static str, ascending: bool) {
    let key = Key::Attribute(name);
    if orders.iter().all(|order| order.key != key) {
        orders.push(Order { key, ascending });
    }
}

/// `metrics.loss DESC`: what is named, and whether the least comes first.
fn clause_of(clause: &str) -> Result<(String, bool)> {
    check_length("An order_by clause", clause)?;
    let unreadable = || Problem::invalid(format!("Invalid order_by clause '{clause}'. Could not be parsed."));
    let nodes = grouped(clause).ok_or_else(unreadable)?;
    let timestamp =
        |at: usize| nodes.get(at).is_some_and(|node| node.kind == Kind::Builtin && node.text(clause) == "timestamp");
    let written = match nodes.as_slice() {
        [only] if only.kind == Kind::Identifier => only.text(clause).to_owned(),
        [_] if timestamp(0) => "timestamp".to_owned(),
        [_, between @ .., last]
            if timestamp(0) && last.kind == Kind::Direction && between.iter().all(|node| node.kind == Kind::Space) =>
        {
            format!("timestamp {}", last.text(clause))
        }
        _ => return Err(unreadable()),
    };
    let words = python::words(&written.replace('`', "\"")).ok_or_else(unreadable)?;
    match words.as_slice() {
        [name, direction] => match direction.to_lowercase().as_str() {
            "asc" => Ok((name.clone(), true)),
            "desc" => Ok((name.clone(), false)),
            _ => Err(Problem::invalid(format!("Invalid ordering key in order_by clause '{clause}'."))),
        },
        [_] | [] => Ok((written, true)),
        _ => Err(unreadable()),
    }
}
