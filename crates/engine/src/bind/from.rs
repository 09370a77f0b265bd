//! FROM: tables, views, subqueries, VALUES, table functions.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{self, TableFactor};

use super::compare::subquery_of;
use super::expr::Cx;
use super::query::rename;
use super::{Binder, Bound, Env, Rel, Scope, ScopeColumn, Source, plain, span_of};
use crate::files::metadata;
use crate::spark::error::{Result, spark, spark_hint, unsupported};
use crate::spark::types;

impl Binder {
    /// All of a FROM clause; one row without columns when there is none.
    pub(crate) fn from(&self, from: &[ast::TableWithJoins], env: &Env<'_>, outer: Option<&Scope<'_>>) -> Result<Rel> {
        let mut all: Option<Rel> = None;
        for item in from {
            // FROM t, LATERAL explode(t.xs): rows of the relations before it.
            if let TableFactor::Function { lateral: true, name, args, with_ordinality: false, alias } = &item.relation
                && item.joins.is_empty()
                && let Some(before) = all.take()
            {
                let names: Vec<String> =
                    alias.iter().flat_map(|alias| &alias.columns).map(|column| column.name.value.clone()).collect();
                let shown = alias.as_ref().map(|alias| alias.name.value.as_str());
                let name = name.to_string().to_lowercase();
                all = Some(self.lateral(before, &name, args, false, shown, &names, env, outer)?);
                continue;
            }
            let next = self.joins(item, env, outer, all.as_ref())?;
            all = Some(match all {
                None => next,
                Some(before) => {
                    let plan = LogicalPlanBuilder::from(before.plan).cross_join(next.plan)?.build()?;
                    Rel { plan, columns: [before.columns, next.columns].concat() }
                }
            });
        }
        match all {
            Some(rel) => Ok(rel),
            None => Ok(Rel { plan: LogicalPlanBuilder::empty(true).build()?, columns: Vec::new() }),
        }
    }

    fn joins(
        &self,
        item: &ast::TableWithJoins,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
        before: Option<&Rel>,
    ) -> Result<Rel> {
        let mut left = self.factor(&item.relation, env, outer, before)?;
        for join in &item.joins {
            let right = self.factor(&join.relation, env, outer, Some(&left))?;
            left = self.join(left, right, &join.join_operator, env, outer)?;
        }
        Ok(left)
    }

    fn factor(
        &self,
        factor: &TableFactor,
        env: &Env<'_>,
        outer: Option<&Scope<'_>>,
        before: Option<&Rel>,
    ) -> Result<Rel> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample, .. } => {
                let parts: Vec<String> =
                    name.0.iter().filter_map(|part| part.as_ident()).map(|part| part.value.to_lowercase()).collect();
                let mut rel = self.table(&parts, env)?;
                if let Some(sample) = sample {
                    rel = self.sample(rel, sample, env)?;
                }
                aliased(rel, alias.as_ref())
            }
            TableFactor::Pivot {
                table,
                aggregate_functions,
                value_column,
                value_source,
                default_on_null: None,
                alias,
            } => {
                let rel = self.factor(table, env, outer, before)?;
                let rel = self.pivot(rel, aggregate_functions, value_column, value_source, env, outer)?;
                aliased(rel, alias.as_ref())
            }
            TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
                let rel = self.factor(table, env, outer, before)?;
                let keeps = matches!(null_inclusion, Some(ast::NullInclusion::IncludeNulls));
                let rel = self.unpivot(rel, value, name, columns, keeps, env, outer)?;
                aliased(rel, alias.as_ref())
            }
            TableFactor::Table { name, alias, args: Some(arguments), .. } => {
                let rel = self.table_function(&name.to_string().to_lowercase(), &arguments.args, env, before)?;
                aliased(rel, alias.as_ref())
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let rel = if *lateral {
                    let empty: &[ScopeColumn] = &[];
                    let scope = Scope { columns: before.map_or(empty, |rel| &rel.columns), outer };
                    let rel = self.query(subquery, env, Some(&scope))?;
                    let subquery = subquery_of(rel.plan);
                    // A lateral subquery gets a relation of its own, so that its columns stay apart from the outer ones.
                    let name = self.relation_name("lateral");
                    let plan =
                        LogicalPlanBuilder::from(LogicalPlan::Subquery(subquery)).alias(name.as_str())?.build()?;
                    let columns = rel
                        .columns
                        .into_iter()
                        .map(|mut column| {
                            column.column = Column::new(Some(TableReference::bare(name.as_str())), column.column.name);
                            column
                        })
                        .collect();
                    Rel { plan, columns }
                } else {
                    self.query(subquery, env, None)?
                };
                aliased(without_qualifiers(rel), alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let rel = self.joins(table_with_joins, env, outer, None)?;
                match alias {
                    Some(_) => aliased(without_qualifiers(rel), alias.as_ref()),
                    None => Ok(rel),
                }
            }
            other => Err(unsupported(format!("{other} in FROM"))),
        }
    }

    fn table(&self, parts: &[String], env: &Env<'_>) -> Result<Rel> {
        if let [name] = parts
            && let Some(cte) = env.ctes.get(name)
        {
            // Every mention is a relation of its own, so that a CTE can be joined with itself.
            let relation = self.relation_name(name);
            let reference = TableReference::bare(relation.as_str());
            let used: Vec<Expr> = cte.columns.iter().map(|column| Expr::Column(column.column.clone())).collect();
            let plan = LogicalPlanBuilder::from(cte.plan.clone()).project(used)?.alias(reference.clone())?.build()?;
            let columns = cte
                .columns
                .iter()
                .map(|column| ScopeColumn {
                    qualifier: vec![if column.hidden { super::query::LEVEL_TABLE.to_owned() } else { name.clone() }],
                    column: Column::new(Some(reference.clone()), &column.column.name),
                    ..column.clone()
                })
                .collect();
            return Ok(Rel { plan, columns });
        }
        let key: Vec<String> = match parts {
            [table] => vec![env.catalog.to_lowercase(), env.schema.to_lowercase(), table.clone()],
            [schema, table] => vec![env.catalog.to_lowercase(), schema.clone(), table.clone()],
            parts => parts.to_vec(),
        };
        let not_found = || {
            let name = parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".");
            spark_hint(
                "TABLE_OR_VIEW_NOT_FOUND",
                format!("the table or view {name} cannot be found, or you may not see it"),
                "check the name, and the catalog and schema that you use",
            )
        };
        let source = env.sources.get(&key).or_else(|| env.sources.get(parts)).ok_or_else(not_found)?;
        self.source(&key, source, env)
    }

    fn source(&self, key: &[String], source: &Source, env: &Env<'_>) -> Result<Rel> {
        match source {
            Source::Provider(provider) => self.scan(key, provider),
            Source::View(view) => {
                let inner = Env {
                    sources: &view.sources,
                    catalog: &view.catalog,
                    schema: &view.schema,
                    ctes: std::collections::HashMap::new(),
                    depth: env.depth + 1,
                };
                let rel = self.query(&view.query, &inner, None)?;
                let mut rel = without_qualifiers(rel);
                if let Some(names) = &view.columns {
                    rel = rename(rel, names)?;
                }
                let read = rel.columns.iter().map(Bound::column).collect();
                let mut rel = self.project_to(rel, read)?;
                for column in &mut rel.columns {
                    column.qualifier = key.to_vec();
                }
                Ok(rel)
            }
        }
    }

    fn scan(&self, key: &[String], provider: &Arc<dyn TableProvider>) -> Result<Rel> {
        let shown = key.last().map_or("rows", String::as_str);
        let relation = self.relation_name(shown);
        self.scans.borrow_mut().push((relation.clone(), key.to_vec()));
        let reference = TableReference::bare(relation.as_str());
        let schema = provider.schema();
        let mut plan = LogicalPlanBuilder::scan(reference.clone(), provider_as_source(Arc::clone(provider)), None)?;
        let mut columns = Vec::new();
        let mut exprs = Vec::new();
        let mut changed = false;
        for field in schema.fields() {
            let column = Column::new(Some(reference.clone()), field.name());
            let ty = types::normal(field.data_type());
            let column = if ty == *field.data_type() {
                exprs.push(Expr::Column(column.clone()));
                column
            } else {
                changed = true;
                let name = self.column_name(field.name());
                exprs.push(Expr::Cast(Cast::new(Box::new(Expr::Column(column)), ty.clone())).alias(&name));
                plain(name)
            };
            columns.push(ScopeColumn {
                qualifier: key.to_vec(),
                name: field.name().clone(),
                column,
                ty,
                span: None,
                hidden: metadata::is_hidden(field),
            });
        }
        if changed {
            plan = plan.project(exprs)?;
        }
        Ok(Rel { plan: plan.build()?, columns })
    }

    /// `VALUES (1, 'a'), (2, 'b')`.
    pub(crate) fn values(&self, values: &ast::Values, env: &Env<'_>, outer: Option<&Scope<'_>>) -> Result<Rel> {
        let scope = Scope { columns: &[], outer };
        let cx = Cx::new(scope, env, "VALUES");
        let mut rows: Vec<Vec<Bound>> = Vec::new();
        for row in &values.rows {
            // VALUES 1, 2 has rows of one column.
            rows.push(row.content.iter().map(|cell| self.expr(cell, &cx)).collect::<Result<Vec<_>>>()?);
        }
        let width = rows.first().map_or(0, Vec::len);
        if rows.iter().any(|row| row.len() != width) {
            return Err(spark(
                "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH",
                "the rows of VALUES differ in their number of columns",
            ));
        }
        let mut columns: Vec<Vec<Bound>> = (0..width).map(|_| Vec::new()).collect();
        for row in rows {
            for (column, cell) in columns.iter_mut().zip(row) {
                column.push(cell);
            }
        }
        let mut tys = Vec::new();
        let mut cells = Vec::new();
        for (at, column) in columns.into_iter().enumerate() {
            let (column, ty) = self.unify(column, "VALUES").map_err(|_| {
                spark(
                    "INVALID_INLINE_TABLE.INCOMPATIBLE_TYPES_IN_INLINE_TABLE",
                    format!("the values of column {} have no common type", at + 1),
                )
            })?;
            tys.push((span_of(&column, &ty), ty));
            cells.push(column.into_iter().map(|cell| cell.expr).collect::<Vec<_>>());
        }
        let height = cells.first().map_or(0, Vec::len);
        let rows = (0..height).map(|row| cells.iter().map(|column| column[row].clone()).collect()).collect();
        let fields: Vec<Field> = tys
            .iter()
            .enumerate()
            .map(|(at, (_, ty))| Field::new(format!("column{}", at + 1), ty.clone(), true))
            .collect();
        let schema =
            datafusion::common::DFSchema::from_unqualified_fields(fields.into(), std::collections::HashMap::new())?;
        let plan = LogicalPlanBuilder::values_with_schema(rows, &Arc::new(schema))?.build()?;
        let columns: Vec<Bound> = tys
            .into_iter()
            .enumerate()
            .map(|(at, (span, ty))| {
                let column = Expr::Column(plain(format!("column{}", at + 1)));
                Bound::new(column, ty, format!("col{}", at + 1)).spanned(span)
            })
            .collect();
        self.project_to(Rel { plan, columns: Vec::new() }, columns)
    }

    fn table_function(
        &self,
        name: &str,
        arguments: &[ast::FunctionArg],
        env: &Env<'_>,
        before: Option<&Rel>,
    ) -> Result<Rel> {
        let scope = Scope { columns: &[], outer: None };
        let cx = Cx::new(scope, env, "FROM");
        let mut bound = Vec::new();
        let name = name.trim_matches('`');
        // What lake resolved beforehand is found by its name and its arguments as they are written.
        let written = arguments.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let key = vec![format!("{name}()"), written];
        if let Some(source) = env.sources.get(&key) {
            return self.source(&key, source, env);
        }
        for argument in arguments {
            match argument {
                ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(expr)) => bound.push(self.expr(expr, &cx)?),
                other => return Err(unsupported(format!("the argument {other} of {name}"))),
            }
        }
        let _ = before;
        match name {
            "range" => self.range(bound),
            "explode" | "explode_outer" | "posexplode" | "posexplode_outer" | "inline" | "inline_outer" | "stack" => {
                let rel = Rel { plan: LogicalPlanBuilder::empty(true).build()?, columns: Vec::new() };
                let (rel, columns) = self.generate(rel, name, bound)?;
                Ok(Rel { plan: rel.plan, columns })
            }
            _ => Err(spark_hint(
                "UNRESOLVABLE_TABLE_VALUED_FUNCTION",
                format!("the table function `{name}` cannot be resolved"),
                "range, explode, posexplode, inline, stack and read_files are there",
            )),
        }
    }

    fn range(&self, arguments: Vec<Bound>) -> Result<Rel> {
        let mut numbers = Vec::new();
        for argument in arguments {
            let argument = self.cast(argument, &DataType::Int64)?;
            match self.constant(&argument)? {
                ScalarValue::Int64(Some(number)) => numbers.push(number),
                _ => return Err(spark("UNEXPECTED_INPUT_TYPE", "the arguments of range must not be NULL")),
            }
        }
        let (start, end, step) = match numbers.as_slice() {
            [end] => (0, *end, 1),
            [start, end] => (*start, *end, 1),
            [start, end, step] | [start, end, step, _] if *step != 0 => (*start, *end, *step),
            _ => {
                return Err(spark(
                    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION",
                    "range takes one to four numbers, with a step that is not 0",
                ));
            }
        };
        let generator = datafusion::functions_table::generate_series::RangeFunc {};
        let literal = |value: i64| Expr::Literal(ScalarValue::Int64(Some(value)), None);
        use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl};
        let bounds = [literal(start), literal(end), literal(step)];
        let provider = generator.call_with_args(TableFunctionArgs::new(&bounds, self.state.as_ref()))?;
        let relation = self.relation_name("range");
        let reference = TableReference::bare(relation.as_str());
        let plan =
            LogicalPlanBuilder::scan(reference.clone(), provider_as_source(Arc::clone(&provider)), None)?.build()?;
        let schema: Arc<Schema> = provider.schema();
        let source = schema.field(0).name();
        let column = Bound::new(Expr::Column(Column::new(Some(reference), source)), DataType::Int64, "id");
        self.project_to(Rel { plan, columns: Vec::new() }, vec![column])
    }
}

/// `coalesce` as a CASE, which evaluates no more than it must.
pub(crate) fn coalesce(mut items: Vec<Expr>) -> Expr {
    let Some(last) = items.pop() else { return Expr::Literal(ScalarValue::Null, None) };
    if items.is_empty() {
        return last;
    }
    let pairs =
        items.into_iter().map(|item| (Box::new(Expr::IsNotNull(Box::new(item.clone()))), Box::new(item))).collect();
    Expr::Case(datafusion::logical_expr::Case::new(None, pairs, Some(Box::new(last))))
}

pub(crate) fn column_of(column: &ScopeColumn) -> Bound {
    Bound::column(column)
}

fn without_qualifiers(mut rel: Rel) -> Rel {
    rel.columns.retain(|column| !column.hidden);
    for column in &mut rel.columns {
        column.qualifier.clear();
    }
    rel
}

fn aliased(rel: Rel, alias: Option<&ast::TableAlias>) -> Result<Rel> {
    let Some(alias) = alias else { return Ok(rel) };
    let names: Vec<String> = alias.columns.iter().map(|column| column.name.value.clone()).collect();
    let visible = rel.columns.iter().filter(|column| !column.hidden).count();
    if !names.is_empty() && names.len() != visible {
        return Err(spark(
            "NUM_TABLE_VALUE_ALIASES_MISMATCH",
            format!("{} column aliases were given for {visible} columns", names.len()),
        ));
    }
    let mut rel = rename(rel, &names)?;
    for column in rel.columns.iter_mut().filter(|column| !column.hidden || column.name == metadata::NAME) {
        column.qualifier = vec![alias.name.value.to_lowercase()];
    }
    Ok(rel)
}
