//! Names as REST writes them, and what is told about how an object came to be visible.

use crannog_kit::Cx;
use crannog_security::{Decision, Kind, Privilege, Reference, Rule};
use crannog_types::{FullName, Problem, Result, check_name};

/// A full name as REST writes it: parts joined by dots, never quoted. Names hold no dots, so a backtick stands for itself.
///
/// # Errors
/// Another number of parts than wanted, or a part that is no name.
pub fn full_name(text: &str, parts: usize) -> Result<FullName> {
    let found: Vec<&str> = text.split('.').collect();
    if found.len() != parts {
        let wanted = ["", "catalog", "catalog.schema", "catalog.schema.name"].get(parts).copied().unwrap_or_default();
        return Err(Problem::invalid(format!(
            "the full name {text:?} has {} part{}, not {parts}",
            found.len(),
            if found.len() == 1 { "" } else { "s" }
        ))
        .hint(format!("write it as {wanted}")));
    }
    Ok(FullName::of(found.into_iter().map(check_name).collect::<Result<Vec<_>, _>>()?))
}

/// The name of a schema from its two parts.
pub fn schema_name(catalog: &str, schema: &str) -> Result<FullName> {
    Ok(FullName::of([check_name(catalog)?, check_name(schema)?]))
}

/// The parts of a full name that an object's wire form shows on their own.
pub fn part(name: &FullName, at: usize) -> String {
    name.parts().get(at).cloned().unwrap_or_default()
}

/// Whether BROWSE alone lets the caller see an object: neither ownership, nor MANAGE, nor any privilege behind its gates.
pub async fn browse_only(cx: &Cx, kind: Kind, name: &FullName) -> Result<bool> {
    let caller = cx.caller()?;
    let about = Reference::Named(kind, name.clone());
    let held = Privilege::ALL.iter().filter(|privilege| {
        privilege.applies_to(kind)
            && !matches!(privilege, Privilege::Browse | Privilege::Manage | Privilege::AllPrivileges)
    });
    for rule in std::iter::once(Rule::Manages).chain(held.map(|privilege| Rule::Holds(*privilege))) {
        if let (_, Decision::Allowed(_)) = caller.explain(rule, &about).await? {
            return Ok(false);
        }
    }
    Ok(true)
}
