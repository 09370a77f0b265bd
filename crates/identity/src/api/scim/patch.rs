//! PATCH by RFC 7644 §3.5.2, as databricks-sdk, Terraform and Entra ID send it.
//!
//! databricks-sdk drops a `value` that is false, so replacing `active` with nothing means false.

use crannog_types::{PrincipalId, Problem, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::wire::{Complex, Name, ids};
use crate::service::principals::Changes;

/// A list of operations.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct PatchIn {
    /// The decimal id.
    pub(super) id: String,
    /// Done in order.
    #[serde(rename = "Operations")]
    operations: Vec<Operation>,
}

/// One operation.
#[derive(Debug, Deserialize, JsonSchema)]
struct Operation {
    /// `add`, `replace` or `remove`, in any case.
    op: String,
    /// What it is about; without it the value is an object of attributes.
    #[serde(default)]
    path: Option<String>,
    /// The new value.
    #[serde(default)]
    value: Option<Value>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Replace,
    Remove,
}

impl PatchIn {
    /// What is to change. `name` is the attribute that names this kind of resource.
    pub(super) fn changes(&self, name: &str) -> Result<Changes> {
        let mut changes = Changes::default();
        for operation in &self.operations {
            let op = match operation.op.to_ascii_lowercase().as_str() {
                "add" => Op::Add,
                "replace" => Op::Replace,
                "remove" => Op::Remove,
                other => return Err(Problem::invalid(format!("{other:?} is not add, replace or remove"))),
            };
            let path = operation.path.as_deref().map(str::trim).filter(|path| !path.is_empty());
            match (path, &operation.value) {
                (Some(path), value) => apply(&mut changes, op, path, value.as_ref(), name)?,
                (None, Some(Value::Object(attributes))) => {
                    for (path, value) in attributes {
                        apply(&mut changes, op, path, Some(value), name)?;
                    }
                }
                (None, _) => return Err(Problem::invalid("an operation without a path needs an object as its value")),
            }
        }
        Ok(changes)
    }
}

fn apply(changes: &mut Changes, op: Op, path: &str, value: Option<&Value>, name: &str) -> Result<()> {
    let path = path.rsplit(':').next().filter(|_| path.starts_with("urn:")).unwrap_or(path);
    let lower = path.to_ascii_lowercase();
    let text = || match (op, value) {
        (Op::Remove, _) => Ok(String::new()),
        (_, Some(Value::String(text))) => Ok(text.clone()),
        _ => Err(Problem::invalid(format!("{path} needs a text"))),
    };
    match lower.as_str() {
        "active" => {
            changes.active = Some(match value {
                Some(Value::Bool(active)) => *active,
                Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => true,
                Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => false,
                None if op == Op::Replace => false,
                _ => return Err(Problem::invalid("active is neither true nor false")),
            });
        }
        "displayname" if name == "displayName" => changes.name = Some(text()?),
        "displayname" => changes.display_name = Some(text()?),
        "name" if name == "userName" && op == Op::Remove => {
            (changes.given_name, changes.family_name) = (Some(String::new()), Some(String::new()));
        }
        "name" if name == "userName" => {
            let parts: Name = serde_json::from_value(value.cloned().unwrap_or_default())
                .map_err(|error| Problem::invalid(format!("name cannot be read: {error}")))?;
            changes.given_name = parts.given_name.or(changes.given_name.take());
            changes.family_name = parts.family_name.or(changes.family_name.take());
        }
        "name.givenname" if name == "userName" => changes.given_name = Some(text()?),
        "name.familyname" if name == "userName" => changes.family_name = Some(text()?),
        // Made of the parts, which directories send beside it.
        "name.formatted" if name == "userName" => {}
        "externalid" => changes.external_id = Some(text()?),
        "members" => members(changes, op, value)?,
        _ if lower.starts_with("members[") => {
            let id = bracketed(path)
                .ok_or_else(|| Problem::invalid(format!("{path:?} is not of the form members[value eq \"1\"]")))?;
            match op {
                Op::Remove => changes.remove.push(id),
                Op::Add | Op::Replace => changes.add.push(id),
            }
        }
        // What a name cannot be changed to, and what is only Databricks': see `wire`.
        "username" | "applicationid" | "emails" | "entitlements" | "roles" | "schemas" | "id" | "meta" | "groups" => {}
        _ if lower.starts_with("entitlements[") || lower.starts_with("roles[") || lower.starts_with("emails[") => {}
        _ => return Err(Problem::invalid(format!("there is no attribute {path:?} to change"))),
    }
    Ok(())
}

fn members(changes: &mut Changes, op: Op, value: Option<&Value>) -> Result<()> {
    let list: Vec<Complex> = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(_)) => serde_json::from_value(value.cloned().unwrap_or_default())
            .map_err(|error| Problem::invalid(format!("members cannot be read: {error}")))?,
        Some(one) => vec![
            serde_json::from_value(one.clone())
                .map_err(|error| Problem::invalid(format!("members cannot be read: {error}")))?,
        ],
    };
    let ids = ids(&list)?;
    match op {
        Op::Add => changes.add.extend(ids),
        Op::Replace => changes.members = Some(ids),
        Op::Remove if ids.is_empty() => changes.members = Some(Vec::new()),
        Op::Remove => changes.remove.extend(ids),
    }
    Ok(())
}

/// The id in `members[value eq "123"]`.
fn bracketed(path: &str) -> Option<PrincipalId> {
    let inside = path.split_once('[')?.1.strip_suffix(']')?.trim();
    let mut words = inside.split_whitespace();
    let fits = words.next()?.eq_ignore_ascii_case("value") && words.next()?.eq_ignore_ascii_case("eq");
    let id = words.next()?.trim_matches(['"', '\'']).parse().ok()?;
    (fits && words.next().is_none()).then_some(id)
}
