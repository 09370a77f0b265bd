//! SELECT: its list, WHERE, GROUP BY, HAVING, QUALIFY, DISTINCT, ORDER BY.
//!
//! Calls of aggregate and window functions are collected while the expressions are bound, each under a column name of its
//! own; afterwards the plan is laid: filter, aggregate, having, window, qualify, generate, project, distinct, sort.

use std::cell::RefCell;
use std::collections::HashSet;

use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, SortExpr};
use datafusion::sql::sqlparser::ast::{
    self, Distinct, SelectItem, SelectItemQualifiedWildcardKind, WildcardAdditionalOptions,
};

use super::aggregate::Aggregates;
use super::compare::unsigned_zero;
use super::expr::Cx;
use super::from::column_of;
use super::generate::Generators;
use super::group::Groups;
use super::query::{direction, ordinal};
use super::time_window::is_made;
use super::window::Windows;
use super::{Binder, Bound, Env, Rel, Scope, ScopeColumn, plain};
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::types;

impl Binder {
    /// Plans one SELECT with the ORDER BY that follows it.
    pub(crate) fn select(
        &self,
        select: &ast::Select,
        order: &[ast::OrderByExpr],
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
    ) -> Result<Rel> {
        let mut rel = self.from(&select.from, env, outer)?;
        for view in &select.lateral_views {
            rel = self.lateral_view(rel, view, env, outer)?;
        }
        let columns = rel.columns.clone();
        let scope = Scope { columns: &columns, outer };
        if let Some(condition) = &select.selection {
            let cx = Cx::new(scope, env, "WHERE");
            let condition = self.condition(condition, &cx, "WHERE")?;
            let condition = self.three_valued(condition.expr, true, &cx)?;
            rel.plan = LogicalPlanBuilder::from(rel.plan).filter(condition)?.build()?;
        }
        let mut rel = self.time_windows(rel, select, env, outer)?;
        let columns = rel.columns.clone();
        let scope = Scope { columns: &columns, outer };

        let aggregates = RefCell::new(Aggregates::default());
        let windows = RefCell::new(Windows::default());
        let generators = RefCell::new(Generators::default());

        // The select list. Earlier aliases of the list are names too.
        let mut items: Vec<Bound> = Vec::new();
        let mut aliases: Vec<(String, Bound)> = Vec::new();
        for item in &select.projection {
            let before = generators.borrow().count();
            let bound = {
                let cx = Cx {
                    aggregates: Some(&aggregates),
                    windows: Some(&windows),
                    generators: Some(&generators),
                    aliases: &aliases,
                    named_windows: &select.named_window,
                    ..Cx::new(scope, env, "SELECT")
                };
                self.select_item(item, &cx, &columns)?
            };
            let generated = generators.borrow().columns_after(before);
            match generated {
                Some(generated) => match item {
                    SelectItem::ExprWithAlias { alias, .. } if generated.len() == 1 => {
                        items.extend(generated.into_iter().map(|column| column.named(alias.value.clone())));
                    }
                    SelectItem::ExprWithAliases { aliases, .. } if generated.len() == aliases.len() => {
                        let named = generated.into_iter().zip(aliases);
                        items.extend(named.map(|(column, alias)| column.named(alias.value.clone())));
                    }
                    SelectItem::ExprWithAlias { .. } | SelectItem::ExprWithAliases { .. } => {
                        return Err(spark_hint(
                            "UDTF_ALIAS_NUMBER_MISMATCH",
                            "the generator gives several columns, but one alias was given",
                            "put it into FROM with a list of aliases",
                        ));
                    }
                    _ if bound.len() == 1 => items.extend(generated),
                    _ => items.extend(bound),
                },
                None if matches!(item, SelectItem::ExprWithAliases { .. }) => {
                    return Err(spark("MULTI_ALIAS_WITHOUT_GENERATOR", "several aliases are for generators only"));
                }
                None => {
                    if let (SelectItem::ExprWithAlias { alias, .. }, [one]) = (item, bound.as_slice()) {
                        aliases.push((alias.value.clone(), one.clone()));
                    }
                    items.extend(bound);
                }
            }
        }

        let groups = self.groups(&select.group_by, &items, &aliases, &aggregates, scope, env)?;

        let having = match &select.having {
            Some(having) => {
                // An alias of an aggregate hides the column of the same name: HAVING is about groups.
                let calls: Vec<(String, Bound)> =
                    aliases.iter().filter(|(_, bound)| aggregates.borrow().occurs_in(&bound.expr)).cloned().collect();
                let cx = Cx {
                    aggregates: Some(&aggregates),
                    aliases: &aliases,
                    variables: calls,
                    ..Cx::new(scope, env, "HAVING")
                };
                Some(self.condition(having, &cx, "HAVING")?)
            }
            None => None,
        };
        let qualify = match &select.qualify {
            Some(qualify) => {
                let cx = Cx {
                    aggregates: Some(&aggregates),
                    windows: Some(&windows),
                    aliases: &aliases,
                    named_windows: &select.named_window,
                    ..Cx::new(scope, env, "QUALIFY")
                };
                Some(self.condition(qualify, &cx, "QUALIFY")?)
            }
            None => None,
        };
        let distinct = match &select.distinct {
            None | Some(Distinct::All) => false,
            Some(Distinct::Distinct) => true,
            Some(Distinct::On(_)) => return Err(unsupported("DISTINCT ON")),
        };
        let mut keys: Vec<(Bound, bool, bool)> = Vec::new();
        for key in order {
            let (asc, nulls_first) = direction(&key.options);
            let bound = match ordinal(&key.expr, items.len(), "ORDER_BY_POS_OUT_OF_RANGE")? {
                Some(at) => items[at].clone(),
                None => {
                    let mut outputs: Vec<(String, Bound)> = Vec::new();
                    for item in &items {
                        let same = items.iter().filter(|other| other.name.eq_ignore_ascii_case(&item.name)).count();
                        if same == 1 {
                            outputs.push((item.name.clone(), item.clone()));
                        }
                    }
                    let cx = Cx {
                        aggregates: Some(&aggregates),
                        windows: Some(&windows),
                        variables: match &key.expr {
                            // t.a is the table's column, whatever the list calls `t`.
                            ast::Expr::CompoundIdentifier(_) => Vec::new(),
                            _ => outputs,
                        },
                        aliases: &aliases,
                        named_windows: &select.named_window,
                        ..Cx::new(scope, env, "ORDER BY")
                    };
                    self.expr(&key.expr, &cx)?
                }
            };
            if matches!(bound.ty, DataType::Map(..)) {
                return Err(spark("DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", "ORDER BY does not support maps"));
            }
            keys.push((bound, asc, nulls_first));
        }

        // From here on the plan is laid.
        let aggregates = aggregates.into_inner();
        let mut windows = windows.into_inner();
        let generators = generators.into_inner();
        let mut having = having;
        let mut qualify = qualify;
        let mut generators = generators;
        let is_aggregate = groups.is_some() || !aggregates.is_empty() || having.is_some();
        if is_aggregate {
            let grouped = groups.is_some();
            let groups = groups.unwrap_or(Groups { items: Vec::new(), sets: None });
            let (plan, swap) = self.lay_aggregate(rel.plan, groups, aggregates)?;
            rel.plan = plan;
            let regroup = |bound: &mut Bound| -> Result<()> {
                bound.expr = swap.apply(std::mem::take(&mut bound.expr))?;
                Ok(())
            };
            windows.each(|expr| swap.apply(expr))?;
            generators.each(|expr| swap.apply(expr))?;
            let mut allowed: HashSet<Column> = swap.columns();
            allowed.extend(windows.columns());
            allowed.extend(generators.columns());
            for bound in items
                .iter_mut()
                .chain(keys.iter_mut().map(|(bound, ..)| bound))
                .chain(having.iter_mut())
                .chain(qualify.iter_mut())
            {
                regroup(bound)?;
                if let Some(column) = bound.expr.column_refs().into_iter().find(|column| !allowed.contains(*column)) {
                    let name = columns
                        .iter()
                        .find(|known| known.column == *column)
                        .map_or(column.name.as_str(), |known| known.name.as_str());
                    return Err(spark_hint(
                        if grouped { "MISSING_AGGREGATION" } else { "MISSING_GROUP_BY" },
                        format!(
                            "the non-aggregating expression \"{name}\" is based on columns which are not in the GROUP BY clause"
                        ),
                        format!("add the column to GROUP BY, or use any_value({name})"),
                    ));
                }
            }
            if let Some(having) = having {
                rel.plan = LogicalPlanBuilder::from(rel.plan).filter(having.expr)?.build()?;
            }
        }
        rel.plan = self.lay_windows(rel.plan, windows)?;
        if let Some(qualify) = qualify {
            rel.plan = LogicalPlanBuilder::from(rel.plan).filter(qualify.expr)?.build()?;
        }
        rel.plan = self.lay_generators(rel.plan, generators)?;

        // Sort keys that the list does not have are carried along and dropped at the end.
        let mut exprs = Vec::new();
        let mut out = Vec::new();
        let mut sorts = Vec::new();
        for item in &items {
            let name = self.column_name(&item.name);
            exprs.push(item.expr.clone().alias(&name));
            out.push(ScopeColumn {
                qualifier: source_of(&item.expr, &columns),
                name: item.name.clone(),
                column: plain(name),
                ty: item.ty.clone(),
                span: item.span(),
                hidden: false,
            });
        }
        let shown = out.len();
        for (key, asc, nulls_first) in keys {
            let at = items.iter().position(|item| item.expr == key.expr);
            let column = match at {
                Some(at) => out[at].column.clone(),
                None if distinct => {
                    return Err(spark_hint(
                        "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                        format!("ORDER BY \"{}\" is not in the list of SELECT DISTINCT", key.name),
                        "add it to the SELECT list",
                    ));
                }
                None => {
                    let name = self.column_name("sort");
                    exprs.push(key.expr.clone().alias(&name));
                    plain(name)
                }
            };
            let sorted = Bound::new(Expr::Column(column), key.ty.clone(), "");
            let sorted = if types::is_float(&key.ty) { unsigned_zero(sorted) } else { sorted };
            sorts.push(SortExpr::new(sorted.expr, asc, nulls_first));
        }
        let carried = exprs.len() > shown;
        let mut plan = LogicalPlanBuilder::from(rel.plan).project(exprs)?;
        if distinct {
            plan = plan.distinct()?;
        }
        if !sorts.is_empty() {
            plan = plan.sort(sorts)?;
        }
        if carried {
            let kept: Vec<Expr> = out.iter().map(|column| Expr::Column(column.column.clone())).collect();
            plan = plan.project(kept)?;
        }
        Ok(Rel { plan: plan.build()?, columns: out })
    }

    /// A condition of WHERE, HAVING or QUALIFY.
    fn condition(&self, ast: &ast::Expr, cx: &Cx<'_>, clause: &str) -> Result<Bound> {
        let condition = self.expr(ast, cx)?;
        if !matches!(condition.ty, DataType::Boolean | DataType::Null | DataType::Utf8) {
            return Err(spark_hint(
                "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN",
                format!(
                    "the condition \"{}\" of {clause} is \"{}\", not BOOLEAN",
                    condition.name,
                    types::sql(&condition.ty)
                ),
                "compare it with something",
            ));
        }
        self.cast(condition, &DataType::Boolean)
    }

    fn select_item(&self, item: &SelectItem, cx: &Cx<'_>, columns: &[ScopeColumn]) -> Result<Vec<Bound>> {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let bound = self.expr(expr, cx)?;
                // `s.a` and `s.a.b` are called after their last part, and a cast of a column after the column.
                let bare = match expr {
                    ast::Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()),
                    ast::Expr::Cast { expr, .. } => match expr.as_ref() {
                        ast::Expr::Identifier(name) => Some(name.value.clone()),
                        ast::Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()),
                        _ => None,
                    },
                    _ => None,
                };
                Ok(vec![match bare {
                    Some(name) => bound.named(name),
                    None => bound,
                }])
            }
            SelectItem::ExprWithAlias { expr, alias } => Ok(vec![self.expr(expr, cx)?.named(alias.value.clone())]),
            SelectItem::ExprWithAliases { expr, .. } => Ok(vec![self.expr(expr, cx)?]),
            SelectItem::Wildcard(options) => {
                let visible: Vec<&ScopeColumn> =
                    columns.iter().filter(|column| !column.hidden && !is_made(column)).collect();
                if visible.is_empty() {
                    return Err(spark(
                        "INVALID_USAGE_OF_STAR_OR_REGEX",
                        "invalid usage of '*': there is no table in FROM",
                    ));
                }
                except(visible, options)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let parts: Vec<String> =
                    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase()).collect();
                let found: Vec<&ScopeColumn> =
                    columns.iter().filter(|column| column.qualifier.ends_with(&parts)).collect();
                if !found.is_empty() {
                    return except(found, options);
                }
                // `s.*` of a struct
                let idents: Vec<ast::Ident> = name.0.iter().filter_map(|part| part.as_ident()).cloned().collect();
                let value = self.expr(&ast::Expr::CompoundIdentifier(idents), cx).map_err(|_| {
                    let known: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
                    spark_hint(
                        "CANNOT_RESOLVE_STAR_EXPAND",
                        format!("cannot resolve {name}.*"),
                        format!("the columns are {}", known.join(", ")),
                    )
                })?;
                let DataType::Struct(fields) = value.ty.clone() else {
                    return Err(spark(
                        "CANNOT_RESOLVE_STAR_EXPAND",
                        format!("cannot resolve {name}.*: it is no table and no struct"),
                    ));
                };
                fields
                    .iter()
                    .map(|field| Ok(self.struct_field(value.clone(), field.name())?.named(field.name().clone())))
                    .collect()
            }
            other => Err(unsupported(other)),
        }
    }
}

fn except(columns: Vec<&ScopeColumn>, options: &WildcardAdditionalOptions) -> Result<Vec<Bound>> {
    let mut dropped: Vec<String> = Vec::new();
    if let Some(list) = &options.opt_except {
        dropped.push(list.first_element.value.to_lowercase());
        dropped.extend(list.additional_elements.iter().map(|name| name.value.to_lowercase()));
    }
    for name in &dropped {
        if !columns.iter().any(|column| column.name.to_lowercase() == *name) {
            let known: Vec<String> = columns.iter().map(|column| format!("`{}`", column.name)).collect();
            return Err(spark_hint(
                "UNRESOLVED_COLUMN.WITH_SUGGESTION",
                format!("the column `{name}` of EXCEPT cannot be resolved"),
                format!("the columns are {}", known.join(", ")),
            ));
        }
    }
    Ok(columns.into_iter().filter(|column| !dropped.contains(&column.name.to_lowercase())).map(column_of).collect())
}

/// A column that is passed through keeps the name of its table, for ORDER BY and joins above.
fn source_of(expr: &Expr, columns: &[ScopeColumn]) -> Vec<String> {
    match expr {
        Expr::Column(column) => columns
            .iter()
            .find(|known| known.column == *column && !is_made(known))
            .map(|known| known.qualifier.clone())
            .unwrap_or_default(),
        _ => Vec::new(),
    }
}
