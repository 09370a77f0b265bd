//! From grouped tokens to a condition.
//!
//! The order of what can go wrong is upstream's: invalid clauses of the whole text, then each comparison's names and values
//! from left to right, then each one's comparator.

use crannog_types::{Problem, Result};

use super::group::{Node, grouped};
use super::tokens::Kind;
use super::values::{Raw, read};
use super::{Compare, Entity, Filter, Operator, check_length, comparators, python};

/// A part of a clause: what it is, and what was written.
pub(super) type Piece = (Kind, String);

enum Part {
    /// A comparison, and its text.
    Clause(Vec<Piece>, String),
    And(String),
    Or(String),
    /// What parentheses hold.
    Group(Vec<Part>),
    /// Nothing that a filter has.
    Other(String),
}

/// What a statement takes: SQLite's expressions are no deeper than 1,000. (MLflow's own server joins 64 tables at most.)
const MAX_COMPARISONS: usize = 400;

/// Each is a look at every character of a value, many times over.
const MAX_PATTERNS: usize = 20;

pub(super) fn parse(entity: Entity, text: &str) -> Result<Filter> {
    if text.is_empty() {
        return Ok(Filter::everything());
    }
    check_length("A filter", text)?;
    let logged = entity == Entity::LoggedModels;
    let Some(nodes) = grouped(text) else {
        return Err(Problem::invalid(format!("Error on parsing filter '{text}'")));
    };
    let shown = python::repr(text);
    if nodes.iter().all(|node| node.kind == Kind::Space) {
        return Err(Problem::invalid(if logged {
            format!("Invalid filter string: {shown}. Expected a single SQL expression.")
        } else {
            format!("Invalid filter '{text}'. Could not be parsed.")
        }));
    }
    let end = nodes.iter().position(|node| node.kind == Kind::Punctuation && node.text(text) == ";");
    if end.is_some_and(|end| nodes[end + 1..].iter().any(|node| !matches!(node.kind, Kind::Space | Kind::Comment))) {
        return Err(Problem::invalid(if logged {
            format!("Invalid filter string: {shown}. Expected a single SQL expression.")
        } else {
            format!("Search filter contained multiple expression {shown}. Provide AND-ed expression list.")
        }));
    }
    let parts = parts(&nodes, text);
    let invalid: Vec<&str> = parts
        .iter()
        .filter_map(|part| match part {
            Part::Other(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    if !invalid.is_empty() {
        return Err(invalid_clauses(entity, &shown, &invalid));
    }
    if let Some(word) = lonely(&parts) {
        return Err(invalid_clauses(entity, &shown, &[word]));
    }
    let mut clauses = Vec::new();
    collect(&parts, &mut clauses);
    if clauses.len() > MAX_COMPARISONS {
        return Err(Problem::invalid(format!(
            "Filter string has {} comparisons; at most {MAX_COMPARISONS} can be searched for at once.",
            clauses.len()
        )));
    }
    let raw: Vec<Raw> = clauses.into_iter().map(|(pieces, text)| read(entity, pieces, text)).collect::<Result<_>>()?;
    let compares: Vec<Compare> = raw.into_iter().map(|raw| comparators::check(entity, raw)).collect::<Result<_>>()?;
    let patterns =
        compares.iter().filter(|compare| matches!(compare.operator, Operator::Like | Operator::ILike)).count();
    if patterns > MAX_PATTERNS {
        return Err(Problem::invalid(format!(
            "Filter string has {patterns} LIKE and ILIKE comparisons; at most {MAX_PATTERNS} can be searched for at once."
        )));
    }
    Ok(combine(&parts, &mut compares.into_iter()))
}

fn invalid_clauses(entity: Entity, shown: &str, clauses: &[&str]) -> Problem {
    Problem::invalid(match entity {
        Entity::Runs => {
            let quoted: Vec<String> = clauses.iter().map(|clause| format!("'{clause}'")).collect();
            format!("Invalid clause(s) in filter string: {}", quoted.join(", "))
        }
        Entity::LoggedModels => format!(
            "Invalid filter string: {shown}. Expected a list of comparisons separated by 'AND' \
             (e.g. 'metrics.loss > 0.1 AND params.lr = 0.01')."
        ),
        _ => format!("Invalid clause(s) in filter string: {}", clauses.join(", ")),
    })
}

/// Comparisons and what joins them. Lists and NULL are joined to comparisons as upstream does: a name takes the next two
/// or three tokens with it, whatever they are.
fn parts(nodes: &[Node], source: &str) -> Vec<Part> {
    let nodes: Vec<&Node> = nodes.iter().filter(|node| node.kind != Kind::Space).collect();
    let word = |at: usize, words: &[&str]| {
        nodes.get(at).is_some_and(|node| {
            matches!(node.kind, Kind::Keyword | Kind::Null)
                && words.iter().any(|word| node.text(source).eq_ignore_ascii_case(word))
        })
    };
    let is_list = |at: usize| nodes.get(at).is_some_and(|node| node.kind == Kind::Parenthesis);
    let piece = |at: usize| (nodes[at].kind, nodes[at].text(source).to_owned());
    let joined = |name: usize, comparator: &str, list: Option<usize>| {
        let mut pieces = vec![piece(name), (Kind::Keyword, comparator.to_owned())];
        pieces.extend(list.map(piece));
        let text = pieces.iter().map(|(_, text)| text.as_str()).collect();
        Part::Clause(pieces, text)
    };
    let mut parts = Vec::new();
    let mut at = 0;
    while at < nodes.len() {
        if nodes.len() - at < 3 || nodes[at].kind != Kind::Identifier {
            parts.push(part(nodes[at], source));
            at += 1;
        } else if word(at + 1, &["IN"]) && is_list(at + 2) {
            parts.push(joined(at, nodes[at + 1].text(source), Some(at + 2)));
            at += 3;
        } else if word(at + 1, &["IS"]) && word(at + 2, &["NULL"]) {
            parts.push(joined(at, "IS NULL", None));
            at += 3;
        } else if word(at + 1, &["IS"]) && word(at + 2, &["NOT NULL"]) {
            parts.push(joined(at, "IS NOT NULL", None));
            at += 3;
        } else if word(at + 1, &["NOT"]) && word(at + 2, &["IN"]) && is_list(at + 3) {
            parts.push(joined(at, "NOT IN", Some(at + 3)));
            at += 4;
        } else {
            let end = (at + 4).min(nodes.len());
            parts.extend(nodes[at..end].iter().map(|node| part(node, source)));
            at = end;
        }
    }
    parts
}

fn part(node: &Node, source: &str) -> Part {
    let text = node.text(source).to_owned();
    match node.kind {
        Kind::Comparison => {
            let pieces = node.children.iter().filter(|child| child.kind != Kind::Space);
            Part::Clause(pieces.map(|child| (child.kind, child.text(source).to_owned())).collect(), text)
        }
        Kind::Keyword if text.eq_ignore_ascii_case("AND") => Part::And(text),
        Kind::Keyword if text.eq_ignore_ascii_case("OR") => Part::Or(text),
        Kind::Parenthesis => {
            let inner = parts(&node.children, source);
            let sound = inner.iter().all(|part| !matches!(part, Part::Other(_))) && lonely(&inner).is_none();
            if sound && inner.iter().any(|part| matches!(part, Part::Clause(..) | Part::Group(_))) {
                Part::Group(inner)
            } else {
                Part::Other(text)
            }
        }
        _ => Part::Other(text),
    }
}

/// An OR, or an AND beside one, with nothing to join. Where there is no OR, more ANDs than needed do no harm upstream.
fn lonely(parts: &[Part]) -> Option<&str> {
    if !parts.iter().any(|part| matches!(part, Part::Or(_))) {
        return None;
    }
    let mut operand = false;
    for part in parts {
        match part {
            Part::And(word) | Part::Or(word) if !operand => return Some(word),
            Part::And(_) | Part::Or(_) => operand = false,
            _ => operand = true,
        }
    }
    match parts.last() {
        Some(Part::And(word) | Part::Or(word)) => Some(word),
        _ => None,
    }
}

/// The comparisons, from left to right.
fn collect(parts: &[Part], into: &mut Vec<(Vec<Piece>, String)>) {
    for part in parts {
        match part {
            Part::Clause(pieces, text) => into.push((pieces.clone(), text.clone())),
            Part::Group(inner) => collect(inner, into),
            Part::And(_) | Part::Or(_) | Part::Other(_) => {}
        }
    }
}

/// Comparisons in the places of theirs; AND binds closer than OR.
fn combine(parts: &[Part], compares: &mut impl Iterator<Item = Compare>) -> Filter {
    let mut choices = Vec::new();
    let mut terms = Vec::new();
    for part in parts {
        match part {
            Part::Clause(..) => terms.extend(compares.next().map(Filter::Compare)),
            Part::Group(inner) => terms.push(combine_dyn(inner, compares)),
            Part::Or(_) => choices.push(all(std::mem::take(&mut terms))),
            Part::And(_) | Part::Other(_) => {}
        }
    }
    let last = all(terms);
    if choices.is_empty() {
        return last;
    }
    choices.push(last);
    Filter::Any(choices)
}

/// [`combine`] without another type of iterator at each level.
fn combine_dyn(parts: &[Part], compares: &mut dyn Iterator<Item = Compare>) -> Filter {
    combine(parts, &mut { compares })
}

fn all(mut terms: Vec<Filter>) -> Filter {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        Some(last) => {
            terms.push(last);
            Filter::All(terms)
        }
        None => Filter::everything(),
    }
}
