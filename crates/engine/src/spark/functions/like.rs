//! LIKE, ILIKE, RLIKE.
//!
//! A literal pattern without escapes runs in DataFusion's own LIKE, which prunes files by prefix; everything else becomes a
//! regular expression.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::{Expr, Like};
use datafusion::sql::sqlparser::ast;
use regex::{Regex, RegexBuilder};

use crate::bind::expr::Cx;
use crate::bind::{Binder, Bound};
use crate::spark::error::{Result, spark, spark_hint};
use crate::spark::kernel;

/// A pattern of Java's as one of this crate's: what differs between them is rare and refused.
pub(crate) fn java_regex(pattern: &str, function: &str) -> Result<Regex> {
    thread_local! {
        // To compile a pattern takes longer than to match it, and a column of patterns mostly repeats itself.
        static KNOWN: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    if let Some(regex) = KNOWN.with_borrow(|known| known.get(pattern).cloned()) {
        return Ok(regex);
    }
    let regex = RegexBuilder::new(pattern).size_limit(10 << 20).build().map_err(|_| {
        spark_hint(
            "INVALID_PARAMETER_VALUE.PATTERN",
            format!("the value of the parameter `regexp` in `{function}` is invalid: '{pattern}'"),
            "look-around and back references are not supported either",
        )
    })?;
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MOST_PATTERNS {
            known.clear();
        }
        known.insert(pattern.to_owned(), regex.clone());
    });
    Ok(regex)
}

/// Compiled patterns that a thread keeps.
const MOST_PATTERNS: usize = 32;

/// A cache of the last pattern: a column of patterns mostly repeats itself.
#[derive(Default)]
pub(crate) struct Patterns {
    last: Option<(String, Regex)>,
}

impl Patterns {
    pub(crate) fn get(&mut self, pattern: &str, make: impl FnOnce(&str) -> Result<Regex>) -> Result<&Regex> {
        let known = self.last.as_ref().is_some_and(|(known, _)| known == pattern);
        if !known {
            self.last = Some((pattern.to_owned(), make(pattern)?));
        }
        match &self.last {
            Some((_, regex)) => Ok(regex),
            None => Err(spark("INTERNAL_ERROR", "the pattern was not kept")),
        }
    }
}

/// A LIKE pattern as a regular expression.
fn like_regex(pattern: &str, escape: char, insensitive: bool) -> Result<Regex> {
    let mut out = String::from("^");
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if c == escape {
            match chars.next() {
                Some(next) if next == '_' || next == '%' || next == escape => {
                    out.push_str(&regex::escape(&next.to_string()))
                }
                Some(next) => {
                    return Err(spark(
                        "INVALID_FORMAT.ESC_IN_THE_MIDDLE",
                        format!("the escape character is not allowed to precede '{next}' in '{pattern}'"),
                    ));
                }
                None => {
                    return Err(spark(
                        "INVALID_FORMAT.ESC_AT_THE_END",
                        format!("the escape character is not allowed to end the pattern '{pattern}'"),
                    ));
                }
            }
            continue;
        }
        match c {
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            other => out.push_str(&regex::escape(&other.to_string())),
        }
    }
    out.push('$');
    RegexBuilder::new(&out)
        .dot_matches_new_line(true)
        .case_insensitive(insensitive)
        .build()
        .map_err(|_| spark("INVALID_FORMAT.ESC_IN_THE_MIDDLE", format!("the pattern '{pattern}' is too large")))
}

impl Binder {
    /// `value LIKE pattern`.
    pub(crate) fn like_of(&self, value: Bound, pattern: Bound, escape: char, insensitive: bool) -> Result<Bound> {
        let word = if insensitive { "ILIKE" } else { "LIKE" };
        let shown_escape = if escape == '\\' { String::new() } else { format!(" ESCAPE '{escape}'") };
        let name = if insensitive {
            format!(
                "ilike({}, {}{})",
                value.name,
                pattern.name,
                if escape == '\\' { String::new() } else { format!(", {escape}") }
            )
        } else {
            format!("{} {word} {}{shown_escape}", value.name, pattern.name)
        };
        let value = self.implicit(value, &DataType::Utf8, word)?;
        let pattern = self.implicit(pattern, &DataType::Utf8, word)?;
        if let Some(text) = pattern.as_text()
            && !text.contains(['\\', escape])
        {
            let like = Like::new(false, Box::new(value.expr), Box::new(pattern.expr), None, insensitive);
            return Ok(Bound::new(Expr::Like(like), DataType::Boolean, name));
        }
        let total = pattern.as_text().is_some_and(|text| like_regex(text, escape, insensitive).is_ok());
        let expr = kernel::pure_if(
            total,
            "like",
            format!("{escape} {insensitive}"),
            DataType::Boolean,
            vec![value.expr, pattern.expr],
            move |columns, _| {
                let (values, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
                let mut cache = Patterns::default();
                let mut out = Vec::with_capacity(values.len());
                for row in 0..values.len() {
                    if values.is_null(row) || patterns.is_null(row) {
                        out.push(None);
                        continue;
                    }
                    let regex = cache.get(patterns.value(row), |text| like_regex(text, escape, insensitive))?;
                    out.push(Some(regex.is_match(values.value(row))));
                }
                Ok(Arc::new(BooleanArray::from(out)))
            },
        );
        Ok(Bound::new(expr, DataType::Boolean, name))
    }

    /// LIKE as the grammar gives it. `LIKE ANY` arrives as a chain of ORs, `LIKE ALL` as a call of `all`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one clause")]
    pub(crate) fn like(
        &self,
        value: &ast::Expr,
        pattern: &ast::Expr,
        escape: Option<&ast::ValueWithSpan>,
        negated: bool,
        any: bool,
        insensitive: bool,
        cx: &Cx<'_>,
    ) -> Result<Bound> {
        let escape = match escape.map(|value| value.value.to_string()) {
            None => '\\',
            Some(text) => text.trim_matches('\'').chars().next().unwrap_or('\\'),
        };
        let value = self.expr(value, cx)?;
        let all = match pattern {
            ast::Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("all") => {
                match &function.args {
                    ast::FunctionArguments::List(list) => Some(&list.args),
                    _ => None,
                }
            }
            _ => None,
        };
        if let Some(list) = all {
            let mut found: Option<Bound> = None;
            for arg in list {
                let ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(pattern)) = arg else {
                    return Err(crate::spark::error::unsupported("this pattern of LIKE ALL"));
                };
                let pattern = self.expr(pattern, cx)?;
                let one = self.like_of(value.clone(), pattern, escape, insensitive)?;
                let one = if negated { self.not(one) } else { one };
                found = Some(match found {
                    None => one,
                    Some(before) => {
                        let expr =
                            crate::bind::expr::binary(before.expr, datafusion::logical_expr::Operator::And, one.expr);
                        Bound::new(expr, DataType::Boolean, format!("({} AND {})", before.name, one.name))
                    }
                });
            }
            let shown = format!("{}likeall({})", if negated { "not" } else { "" }, value.name);
            let found = found.ok_or_else(|| spark("PARSE_SYNTAX_ERROR", "LIKE ALL needs at least one pattern"));
            return Ok(found?.named(shown));
        }
        if any {
            return Err(crate::spark::error::unsupported("this form of LIKE ANY"));
        }
        let pattern = self.expr(pattern, cx)?;
        let found = self.like_of(value, pattern, escape, insensitive)?;
        Ok(if negated { self.not(found) } else { found })
    }
}

/// `rlike(value, pattern)`.
pub(crate) fn rlike(binder: &Binder, value: Bound, pattern: Bound, function: &str) -> Result<Bound> {
    let name = format!("{}({}, {})", function, value.name, pattern.name);
    let value = binder.implicit(value, &DataType::Utf8, "RLIKE")?;
    let pattern = binder.implicit(pattern, &DataType::Utf8, "RLIKE")?;
    let total = pattern.as_text().is_some_and(|text| java_regex(text, "rlike").is_ok());
    let expr = kernel::pure_if(total, "rlike", "", DataType::Boolean, vec![value.expr, pattern.expr], |columns, _| {
        let (values, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
        let mut cache = Patterns::default();
        let mut out = Vec::with_capacity(values.len());
        for row in 0..values.len() {
            if values.is_null(row) || patterns.is_null(row) {
                out.push(None);
                continue;
            }
            let regex = cache.get(patterns.value(row), |text| java_regex(text, "rlike"))?;
            out.push(Some(regex.is_match(values.value(row))));
        }
        Ok(Arc::new(BooleanArray::from(out)))
    });
    Ok(Bound::new(expr, DataType::Boolean, name))
}
