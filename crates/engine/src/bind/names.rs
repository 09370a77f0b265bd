//! Names: columns, fields of structs, and what to say when there is none.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast;

use super::expr::Cx;
use super::{Binder, Bound, Scope, ScopeColumn};
use crate::files::metadata;
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::functions::nested;
use crate::spark::types;

impl Binder {
    /// What a name means: a lambda's variable, a column, an earlier alias, a column of an outer query, a function.
    pub(super) fn column(&self, names: &[ast::Ident], cx: &Cx<'_>) -> Result<Bound> {
        let parts: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        if let Some((_, variable)) = cx.variables.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(parts[0])) {
            let mut value = variable.clone();
            for part in &parts[1..] {
                value = self.struct_field(value, part)?;
            }
            return Ok(value);
        }
        if let Some(found) = self.find(&parts, &cx.scope, false)? {
            return Ok(found);
        }
        if let Some((_, alias)) =
            cx.aliases.iter().rev().find(|(name, _)| name.to_lowercase() == parts[0].to_lowercase())
        {
            let mut value = alias.clone().named(parts[0]);
            for part in &parts[1..] {
                value = self.struct_field(value, part)?;
            }
            return Ok(value);
        }
        let mut scope = cx.scope.outer;
        while let Some(outer) = scope {
            if let Some(found) = self.find(&parts, outer, true)? {
                return Ok(found);
            }
            scope = outer.outer;
        }
        if let [name] = parts.as_slice()
            && let [
                "current_date" | "current_timestamp" | "current_user" | "user" | "session_user" | "current_catalog"
                | "current_database" | "current_schema" | "localtimestamp" | "current_time",
            ] = [name.to_ascii_lowercase().as_str()]
        {
            return self.function_call(&name.to_ascii_lowercase(), Vec::new(), cx);
        }
        Err(unresolved(&parts, &cx.scope))
    }

    /// A column, or a field of one: the qualifier is whatever part of the name matches one.
    fn find(&self, parts: &[&str], scope: &Scope<'_>, outer: bool) -> Result<Option<Bound>> {
        let folded: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
        for used in (1..=parts.len()).rev() {
            let (qualifier, name) = (&folded[..used - 1], &folded[used - 1]);
            let mut found: Vec<&ScopeColumn> = scope
                .columns
                .iter()
                .filter(|column| {
                    column.name.to_lowercase() == *name
                        && column.qualifier.ends_with(qualifier)
                        && (!column.hidden || !qualifier.is_empty() || column.name == metadata::NAME)
                })
                .collect();
            found.dedup_by(|a, b| a.column == b.column);
            match found.as_slice() {
                [] => {}
                [column] => {
                    let expr = if outer {
                        let field = Arc::new(Field::new(&column.column.name, column.ty.clone(), true));
                        Expr::OuterReferenceColumn(field, column.column.clone())
                    } else {
                        Expr::Column(column.column.clone())
                    };
                    let value = Bound::new(expr, column.ty.clone(), parts[used - 1]);
                    let mut value = value.spanned(column.span);
                    for part in &parts[used..] {
                        value = self.struct_field(value, part)?;
                    }
                    return Ok(Some(value));
                }
                several => {
                    let names: Vec<String> = several
                        .iter()
                        .map(|column| {
                            column
                                .qualifier
                                .iter()
                                .chain([&column.name])
                                .map(|part| format!("`{part}`"))
                                .collect::<Vec<_>>()
                                .join(".")
                        })
                        .collect();
                    return Err(spark_hint(
                        "AMBIGUOUS_REFERENCE",
                        format!("the reference `{}` is ambiguous: it could be [{}]", parts.join("."), names.join(", ")),
                        "write the table's name before it",
                    ));
                }
            }
        }
        Ok(None)
    }

    /// `value.name`.
    pub(crate) fn struct_field(&self, value: Bound, name: &str) -> Result<Bound> {
        let lower = name.to_lowercase();
        match &value.ty {
            DataType::Struct(fields) => {
                let found: Vec<usize> = fields
                    .iter()
                    .enumerate()
                    .filter(|(_, field)| field.name().to_lowercase() == lower)
                    .map(|(at, _)| at)
                    .collect();
                let [at] = found.as_slice() else {
                    if found.len() > 1 {
                        return Err(spark(
                            "AMBIGUOUS_REFERENCE_TO_FIELDS",
                            format!("the field `{name}` is ambiguous in the struct"),
                        ));
                    }
                    let known: Vec<String> = fields.iter().map(|field| format!("`{}`", field.name())).collect();
                    return Err(spark_hint(
                        "FIELD_NOT_FOUND",
                        format!("no such struct field `{name}`"),
                        format!("the fields are {}", known.join(", ")),
                    ));
                };
                let shown = format!("{}.{}", value.name, name);
                Ok(nested::field_of(value, *at)?.named(shown))
            }
            DataType::List(element) if matches!(element.data_type(), DataType::Struct(_)) => {
                let shown = format!("{}.{}", value.name, name);
                let DataType::Struct(fields) = element.data_type() else {
                    return Err(unsupported("this field access"));
                };
                let at = fields
                    .iter()
                    .position(|field| field.name().to_lowercase() == lower)
                    .ok_or_else(|| spark("FIELD_NOT_FOUND", format!("no such struct field `{name}`")))?;
                Ok(nested::field_of_elements(value, at)?.named(shown))
            }
            DataType::Map(..) => {
                let key = Bound::literal(ScalarValue::Utf8(Some(name.to_owned())), name);
                self.subscript(value, key)
            }
            other => Err(spark(
                "INVALID_EXTRACT_BASE_FIELD_TYPE",
                format!(
                    "cannot extract `{name}` from \"{}\": it is \"{}\", not a struct, array or map",
                    value.name,
                    types::sql(other)
                ),
            )),
        }
    }
}

/// `[UNRESOLVED_COLUMN.WITH_SUGGESTION]`, with the names that are there, the most alike first.
fn unresolved(parts: &[&str], scope: &Scope<'_>) -> datafusion::error::DataFusionError {
    let wanted = parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".");
    let message = format!("a column, variable, or function parameter with name {wanted} cannot be resolved");
    if scope.columns.is_empty() {
        return spark("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", message);
    }
    let last = parts.last().copied().unwrap_or_default().to_lowercase();
    let mut known: Vec<(usize, String)> = scope
        .columns
        .iter()
        .filter(|column| !column.hidden)
        .map(|column| (distance(&last, &column.name.to_lowercase()), format!("`{}`", column.name)))
        .collect();
    known.sort();
    known.dedup();
    let names: Vec<String> = known.into_iter().take(5).map(|(_, name)| name).collect();
    spark_hint("UNRESOLVED_COLUMN.WITH_SUGGESTION", message, format!("did you mean one of {}?", names.join(", ")))
}

/// Levenshtein's distance.
pub(crate) fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = if a == *b { diagonal } else { 1 + diagonal.min(above).min(row[j]) };
            diagonal = above;
        }
    }
    row[right.len()]
}
