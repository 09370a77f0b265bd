//! Orders and pages by the keys of rows.
//!
//! A page begins behind the last row of the one before: behind its keys, not so many rows on. What the first key orders by
//! is cut into segments, read one after the other: rows that have it, those where it is not a number, those without it.
//! Within a segment the first key is a plain column, so that an index gives its order. The other keys carry the same in
//! their order: no number after every number, what is missing last.

use crannog_store::Row;
use crannog_store::query::{CaseStatement, Expr, ExprTrait, NullOrdering, Order, SelectStatement};
use crannog_types::{Problem, Result};
use sha2::{Digest, Sha256};

use super::compare::never;
use crate::model::search::{KeyValue, PageToken};

/// One key of an order.
#[derive(Debug)]
pub(super) struct SortKey {
    /// What is ordered by; no value is NULL.
    pub(super) value: Expr,
    /// 1 where the value is not a number.
    pub(super) nan: Option<Expr>,
    /// Whether rows may be without it.
    pub(super) nullable: bool,
    pub(super) ascending: bool,
    pub(super) kind: KeyKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Int,
    Real,
    Text,
}

/// A part of an order: what the first key is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Value,
    Nan,
    Missing,
}

/// The segments of an order, first things first.
pub(super) fn segments(first: &SortKey) -> &'static [Segment] {
    match (&first.nan, first.nullable) {
        (Some(_), _) => &[Segment::Value, Segment::Nan, Segment::Missing],
        (None, true) => &[Segment::Value, Segment::Missing],
        (None, false) => &[Segment::Value],
    }
}

/// Adds the keys to what a query gives, behind its other columns, and orders by them.
pub(super) fn ordered(select: &mut SelectStatement, keys: &[SortKey], segment: Segment) {
    for (at, key) in present(keys, segment) {
        if let Some(rank) = rank(at, key) {
            select.expr_as(rank, format!("c{at}"));
        }
        select.expr_as(key.value.clone(), format!("k{at}"));
    }
    order_by(select, keys, segment);
}

/// Gives the columns that [`ordered`] added to a query of which this one is made, and orders by them again.
pub(super) fn again(select: &mut SelectStatement, of: &'static str, keys: &[SortKey], segment: Segment) {
    for (at, key) in present(keys, segment) {
        if rank(at, key).is_some() {
            select.expr_as(Expr::col((of, format!("c{at}"))), format!("c{at}"));
        }
        select.expr_as(Expr::col((of, format!("k{at}"))), format!("k{at}"));
    }
    order_by(select, keys, segment);
}

/// The keys that have columns: the first one has none where all rows are alike in it.
fn present(keys: &[SortKey], segment: Segment) -> impl Iterator<Item = (usize, &SortKey)> {
    keys.iter().enumerate().skip(usize::from(segment != Segment::Value))
}

/// Orders by the columns that [`ordered`] added, here or in what this query is made of.
pub(super) fn order_by(select: &mut SelectStatement, keys: &[SortKey], segment: Segment) {
    for (at, key) in keys.iter().enumerate() {
        let (name, order) = (format!("k{at}"), if key.ascending { Order::Asc } else { Order::Desc });
        match (at, segment) {
            // Never NULL here. What is said of NULL is what the index is made with: PostgreSQL takes it for no other order.
            (0, Segment::Value) if key.nullable && key.nan.is_none() => {
                let nulls = if key.ascending { NullOrdering::First } else { NullOrdering::Last };
                select.order_by_with_nulls(name, order, nulls);
            }
            (0, Segment::Value) => _ = select.order_by(name, order),
            (0, _) => {}
            _ => {
                if key.nan.is_some() {
                    select.order_by(format!("c{at}"), Order::Asc);
                }
                if key.nullable {
                    select.order_by_with_nulls(name, order, NullOrdering::Last);
                } else {
                    select.order_by(name, order);
                }
            }
        }
    }
}

/// 0 for a number, 1 for what is none, 2 for nothing: of a key behind the first.
fn rank(at: usize, key: &SortKey) -> Option<Expr> {
    let nan = key.nan.clone().filter(|_| at > 0)?;
    let case = CaseStatement::new().case(nan.eq(1_i64), 1_i64).case(key.value.clone().is_null(), 2_i64).finally(0_i64);
    Some(case.into())
}

/// The keys of a row, whose first key columns begin at `column`.
pub(super) fn read(row: &Row, column: usize, keys: &[SortKey], segment: Segment) -> Result<Vec<KeyValue>> {
    let mut column = column;
    let mut out = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        if at == 0 && segment != Segment::Value {
            out.push(if segment == Segment::Nan { KeyValue::Nan } else { KeyValue::Missing });
            continue;
        }
        let mut nan = false;
        if at > 0 && key.nan.is_some() {
            nan = row.int(column)? == 1;
            column += 1;
        }
        let value = match key.kind {
            KeyKind::Int => row.opt_int(column)?.map(KeyValue::Int),
            KeyKind::Real => row.opt_real(column)?.map(KeyValue::Real),
            KeyKind::Text => row.opt_text(column)?.map(KeyValue::Text),
        };
        column += 1;
        out.push(if nan { KeyValue::Nan } else { value.unwrap_or(KeyValue::Missing) });
    }
    Ok(out)
}

/// What a token calls an order whose parts may be long: the first bytes of their hash.
pub(super) fn name(parts: impl Iterator<Item = String>) -> String {
    let mut hash = Sha256::new();
    parts.for_each(|part| hash.update(part));
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Where a page begins in an order; `None`: at its beginning.
///
/// # Errors
/// When the token is another order's.
pub(super) fn place<'a>(
    token: Option<&'a PageToken>,
    name: &str,
    keys: &[SortKey],
) -> Result<Option<(usize, &'a [KeyValue])>> {
    let Some(token) = token else { return Ok(None) };
    let fits = |(at, (key, value)): (usize, (&SortKey, &KeyValue))| match value {
        KeyValue::Missing => key.nullable,
        KeyValue::Nan => key.nan.is_some(),
        KeyValue::Int(_) => key.kind == KeyKind::Int,
        KeyValue::Real(_) => key.kind == KeyKind::Real,
        KeyValue::Text(_) => key.kind == KeyKind::Text,
    } && (at > 0 || keys.first().and_then(|first| segments(first).get(token.segment)) == Some(&segment_of(value)));
    let fits =
        token.order == name && token.keys.len() == keys.len() && keys.iter().zip(&token.keys).enumerate().all(fits);
    if !fits {
        return Err(Problem::invalid("Invalid page token, it is one of another search: another order_by"));
    }
    Ok(Some((token.segment, &token.keys)))
}

fn segment_of(value: &KeyValue) -> Segment {
    match value {
        KeyValue::Missing => Segment::Missing,
        KeyValue::Nan => Segment::Nan,
        _ => Segment::Value,
    }
}

/// What comes after a row in its segment.
pub(super) fn after(keys: &[SortKey], values: &[KeyValue], segment: Segment) -> Expr {
    let skipped = usize::from(segment != Segment::Value);
    let mut condition = never();
    for (at, (key, value)) in keys.iter().zip(values).enumerate().skip(skipped).rev() {
        let first = at == 0;
        condition = beyond(key, value, first).or(equal(key, value, first).and(condition));
    }
    match (keys.first(), values.first().and_then(literal)) {
        // Says nothing new, but is what an index begins at.
        (Some(first), Some(value)) if segment == Segment::Value => {
            let column = first.value.clone();
            let bound = if first.ascending { column.gte(value) } else { column.lte(value) };
            bound.and(condition)
        }
        _ => condition,
    }
}

fn literal(value: &KeyValue) -> Option<Expr> {
    match value {
        KeyValue::Missing | KeyValue::Nan => None,
        KeyValue::Int(number) => Some((*number).into()),
        KeyValue::Real(number) => Some((*number).into()),
        KeyValue::Text(text) => Some(text.as_str().into()),
    }
}

fn beyond(key: &SortKey, value: &KeyValue, first: bool) -> Expr {
    let column = || key.value.clone();
    let Some(literal) = literal(value) else {
        // Nothing comes after what is missing; after what is no number, that.
        return if *value == KeyValue::Nan { column().is_null() } else { never() };
    };
    let further = if key.ascending { column().gt(literal) } else { column().lt(literal) };
    match &key.nan {
        _ if first => further,
        Some(nan) => further.and(nan.clone().eq(0_i64)).or(nan.clone().eq(1_i64)).or(column().is_null()),
        None if key.nullable => further.or(column().is_null()),
        None => further,
    }
}

fn equal(key: &SortKey, value: &KeyValue, first: bool) -> Expr {
    let column = key.value.clone();
    match (literal(value), &key.nan) {
        (Some(literal), Some(nan)) if !first => column.eq(literal).and(nan.clone().eq(0_i64)),
        (Some(literal), _) => column.eq(literal),
        (None, Some(nan)) if *value == KeyValue::Nan => nan.clone().eq(1_i64),
        (None, _) => column.is_null(),
    }
}
