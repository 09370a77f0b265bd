//! The one walk over sqlparser's trees, and the promise behind it: nothing is parsed and then ignored.
//!
//! Every node is destructured without `..`: when an upgrade of sqlparser adds a field, this file stops compiling until
//! somebody has decided whether Crannog executes it. What it does not execute is refused by name, with a hint. All
//! other passes (rewriting, names, parameters) are [`Visit`]ors of this walk, so none of them can miss a node either.
//! Expressions are in `strict_expr`, our own statements in `strict_statement`.

use sqlparser::ast::{
    ConnectByKind, Cte, Distinct, ExceptSelectItem, Expr, ExprWithAlias, GroupByExpr, GroupByWithModifier, Ident, Join,
    JoinConstraint, JoinOperator, LateralView, LimitClause, NamedWindowDefinition, NamedWindowExpr, ObjectName, Offset,
    OrderBy, OrderByExpr, OrderByKind, OrderByOptions, PivotValueSource, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TableAlias, TableAliasColumnDef, TableFactor,
    TableFunctionArgs, TableSample, TableSampleKind, TableSampleModifier, TableSampleQuantity, TableVersion,
    TableWithJoins, Values, WildcardAdditionalOptions, With,
};

use super::{cursor::Result, error::SyntaxError, tokens::too_complex};

/// What a pass does at the nodes that matter to it. The walk calls these in source order.
pub(super) trait Visit {
    /// Before an expression's parts are walked.
    fn before_expr(&mut self, _expr: &mut Expr) -> Result<()> {
        Ok(())
    }
    /// After an expression's parts have been walked.
    fn expr(&mut self, _expr: &mut Expr) -> Result<()> {
        Ok(())
    }
    /// A `TableFactor::Table`, before its arguments are walked: a name, or the call of a table function.
    fn table(&mut self, _table: &mut TableFactor) -> Result<()> {
        Ok(())
    }
    fn group_by(&mut self, _group_by: &mut GroupByExpr) -> Result<()> {
        Ok(())
    }
    /// A query begins: the CTE names that it defines are visible until `leave_query`.
    fn enter_query(&mut self) {}
    fn leave_query(&mut self) {}
    /// From here on, `name` is a CTE and no table.
    fn define_cte(&mut self, _name: &str) {}
    /// The walk enters (leaves) a text that is stored and read again later, such as a view's query.
    fn stored(&mut self, _inside: bool) {}
}

/// Trees deeper than this are refused. The parser's own limits keep well below; this one guards trees built otherwise.
const MAX_TREE_DEPTH: usize = 1_000;

/// The walk itself.
pub(super) struct Strict<'v> {
    pub(super) visit: &'v mut dyn Visit,
    depth: usize,
}

pub(super) fn refuse<T>(clause: &str, hint: &str) -> Result<T> {
    Err(SyntaxError::unsupported(clause, hint))
}

/// Refuses a clause when it is there.
pub(super) fn absent(present: bool, clause: &str, hint: &str) -> Result<()> {
    if present { refuse(clause, hint) } else { Ok(()) }
}

pub(super) fn pipe_operator() -> SyntaxError {
    SyntaxError::unsupported("|> (pipe syntax)", "nest the query in FROM (SELECT …), or use WITH")
}

const OLD_VERSIONS: &str = "reading an older version is not available yet";

impl<'v> Strict<'v> {
    pub(super) fn new(visit: &'v mut dyn Visit) -> Self {
        Self { visit, depth: 0 }
    }

    pub(super) fn deeper<T>(&mut self, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_TREE_DEPTH {
            return Err(too_complex(format!("the statement nests deeper than {MAX_TREE_DEPTH} levels")));
        }
        self.depth += 1;
        let result = walk(self);
        self.depth -= 1;
        result
    }

    pub(super) fn query(&mut self, query: &mut Query) -> Result<()> {
        self.visit.enter_query();
        let result = self.deeper(|walk| walk.query_parts(query));
        self.visit.leave_query();
        result
    }

    fn query_parts(&mut self, query: &mut Query) -> Result<()> {
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        absent(fetch.is_some(), "FETCH", "write LIMIT n")?;
        absent(
            !locks.is_empty(),
            "FOR UPDATE or FOR SHARE",
            "leave it out: readers see one version of each table and lock nothing",
        )?;
        absent(for_clause.is_some(), "FOR XML, JSON or BROWSE", "use to_json(struct(…))")?;
        absent(settings.is_some(), "SETTINGS", "write SET key = value as a statement of its own")?;
        absent(format_clause.is_some(), "FORMAT", "choose the result's format in the request")?;
        if !pipe_operators.is_empty() {
            return Err(pipe_operator());
        }
        if let Some(with) = with {
            self.with(with)?;
        }
        self.set_expr(body)?;
        if let Some(order_by) = order_by {
            self.order_by(order_by)?;
        }
        match limit_clause {
            None => Ok(()),
            Some(limit_clause) => self.limit(limit_clause),
        }
    }

    fn with(&mut self, with: &mut With) -> Result<()> {
        let With { with_token: _, recursive, cte_tables } = with;
        for cte in cte_tables {
            let Cte { alias, query, from, materialized, closing_paren_token: _ } = cte;
            self.table_alias(alias)?;
            absent(from.is_some(), "FROM behind a common table expression", "name the table inside of it")?;
            absent(materialized.is_some(), "MATERIALIZED", "leave it out: the planner decides")?;
            let name = alias.name.value.clone();
            if *recursive {
                self.visit.define_cte(&name); // it may name itself
                self.query(query)?;
            } else {
                self.query(query)?;
                self.visit.define_cte(&name);
            }
        }
        Ok(())
    }

    fn set_expr(&mut self, body: &mut SetExpr) -> Result<()> {
        self.deeper(|walk| match body {
            SetExpr::Select(select) => walk.select(select),
            SetExpr::Query(query) => walk.query(query),
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                match set_quantifier {
                    SetQuantifier::All | SetQuantifier::Distinct | SetQuantifier::None => {}
                    SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName => {
                        return refuse(
                            "BY NAME in a set operation",
                            "list the columns of both sides in the same order",
                        );
                    }
                }
                match op {
                    SetOperator::Union | SetOperator::Except | SetOperator::Intersect => {}
                    SetOperator::Minus => *op = SetOperator::Except, // another word for the same
                }
                walk.set_expr(left)?;
                walk.set_expr(right)
            }
            SetExpr::Values(values) => walk.values(values),
            SetExpr::Table(_) => refuse("TABLE as a query", "write SELECT * FROM the table"),
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                refuse("a statement that changes rows inside a query", "send it as a statement of its own")
            }
        })
    }

    fn values(&mut self, values: &mut Values) -> Result<()> {
        let Values { explicit_row, value_keyword, rows } = values;
        absent(*explicit_row, "ROW in VALUES", "write VALUES (…), (…)")?;
        absent(*value_keyword, "VALUE", "write VALUES")?;
        rows.iter_mut().try_for_each(|row| self.exprs(&mut row.content))
    }

    fn select(&mut self, select: &mut Select) -> Result<()> {
        let Select {
            select_token: _,
            optimizer_hints,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _, // says only where TOP stood
            projection,
            exclude,
            into,
            from,
            lateral_views,
            prewhere,
            selection,
            connect_by,
            group_by,
            cluster_by,
            distribute_by,
            sort_by,
            having,
            named_window,
            qualify,
            window_before_qualify: _, // both orders mean the same
            value_table_mode,
            flavor,
        } = select;
        absent(!optimizer_hints.is_empty(), "an optimizer hint", "leave it out")?;
        absent(select_modifiers.is_some(), "a modifier behind SELECT", "leave it out")?;
        absent(top.is_some(), "TOP", "write LIMIT n at the end")?;
        absent(exclude.is_some(), "EXCLUDE", "write * EXCEPT (columns)")?;
        absent(into.is_some(), "INTO in a query", "write CREATE TABLE … AS SELECT, or INSERT INTO … SELECT")?;
        absent(prewhere.is_some(), "PREWHERE", "write WHERE")?;
        match connect_by.first() {
            None => {}
            Some(ConnectByKind::StartWith { .. }) => return refuse("START WITH", "write WITH RECURSIVE"),
            Some(ConnectByKind::ConnectBy { .. }) => return refuse("CONNECT BY", "write WITH RECURSIVE"),
        }
        absent(!cluster_by.is_empty(), "CLUSTER BY in a query", "sort with ORDER BY")?;
        absent(!distribute_by.is_empty(), "DISTRIBUTE BY", "leave it out: the planner distributes rows by itself")?;
        absent(!sort_by.is_empty(), "SORT BY", "sort with ORDER BY")?;
        absent(value_table_mode.is_some(), "AS STRUCT or AS VALUE behind SELECT", "select struct(…)")?;
        match flavor {
            // Which of the two stands first says nothing else.
            SelectFlavor::Standard | SelectFlavor::FromFirst => *flavor = SelectFlavor::Standard,
            SelectFlavor::FromFirstNoSelect => return refuse("FROM without SELECT", "write SELECT * FROM …"),
        }
        match distinct {
            None | Some(Distinct::All | Distinct::Distinct) => {}
            Some(Distinct::On(_)) => {
                return refuse("DISTINCT ON", "write QUALIFY row_number() OVER (PARTITION BY … ORDER BY …) = 1");
            }
        }
        for table in from {
            self.table_with_joins(table)?;
        }
        for LateralView { lateral_view, lateral_view_name, lateral_col_alias: _, outer: _ } in lateral_views {
            check_name(lateral_view_name)?;
            self.expr(lateral_view)?;
        }
        projection.iter_mut().try_for_each(|item| self.select_item(item))?;
        self.optional(selection)?;
        self.group_by(group_by)?;
        self.optional(having)?;
        named_window.iter_mut().try_for_each(|window| self.named_window(window))?;
        self.optional(qualify)
    }

    fn named_window(&mut self, window: &mut NamedWindowDefinition) -> Result<()> {
        let NamedWindowDefinition(_name, definition) = window;
        match definition {
            NamedWindowExpr::NamedWindow(_) => Ok(()),
            NamedWindowExpr::WindowSpec(spec) => self.window_spec(spec),
        }
    }

    fn select_item(&mut self, item: &mut SelectItem) -> Result<()> {
        match item {
            SelectItem::UnnamedExpr(expr) => self.expr(expr),
            SelectItem::ExprWithAlias { expr, alias } => {
                check_alias(alias)?;
                self.expr(expr)
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                aliases.iter().try_for_each(check_alias)?;
                self.expr(expr)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options)
            | SelectItem::Wildcard(options) => wildcard(options),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(_), _) => {
                refuse("* of an expression", "name the fields one by one")
            }
        }
    }

    fn group_by(&mut self, group_by: &mut GroupByExpr) -> Result<()> {
        self.visit.group_by(group_by)?;
        let modifiers = match group_by {
            GroupByExpr::All(modifiers) => modifiers,
            GroupByExpr::Expressions(exprs, modifiers) => {
                self.exprs(exprs)?;
                modifiers
            }
        };
        match modifiers.first() {
            None => Ok(()),
            Some(GroupByWithModifier::Totals) => refuse("WITH TOTALS", "write GROUP BY ROLLUP (…)"),
            Some(GroupByWithModifier::GroupingSets(_)) => {
                refuse("GROUPING SETS behind GROUP BY columns", "write GROUP BY GROUPING SETS ((…), (…))")
            }
            Some(GroupByWithModifier::Rollup | GroupByWithModifier::Cube) => {
                refuse("WITH ROLLUP or WITH CUBE here", "write GROUP BY ROLLUP (…) or CUBE (…)")
            }
        }
    }

    fn order_by(&mut self, order_by: &mut OrderBy) -> Result<()> {
        let OrderBy { kind, interpolate } = order_by;
        absent(interpolate.is_some(), "INTERPOLATE", "join a table of all values")?;
        match kind {
            OrderByKind::All(options) => {
                let OrderByOptions { asc: _, nulls_first: _ } = options;
                Ok(())
            }
            OrderByKind::Expressions(exprs) => self.order_by_exprs(exprs),
        }
    }

    pub(super) fn order_by_exprs(&mut self, exprs: &mut [OrderByExpr]) -> Result<()> {
        for order in exprs {
            let OrderByExpr { expr, options, with_fill } = order;
            let OrderByOptions { asc: _, nulls_first: _ } = options;
            absent(with_fill.is_some(), "WITH FILL", "join a table of all values")?;
            self.expr(expr)?;
        }
        Ok(())
    }

    fn limit(&mut self, limit_clause: &mut LimitClause) -> Result<()> {
        match limit_clause {
            LimitClause::LimitOffset { limit, offset, limit_by } => {
                absent(!limit_by.is_empty(), "LIMIT … BY", "write QUALIFY row_number() OVER (PARTITION BY …) <= n")?;
                self.optional(limit)?;
                match offset {
                    None => Ok(()),
                    Some(Offset { value, rows: _ }) => self.expr(value),
                }
            }
            LimitClause::OffsetCommaLimit { offset: _, limit: _ } => {
                refuse("LIMIT offset, n", "write LIMIT n OFFSET m")
            }
        }
    }

    fn table_with_joins(&mut self, table: &mut TableWithJoins) -> Result<()> {
        let TableWithJoins { relation, joins } = table;
        self.table_factor(relation)?;
        for join in joins {
            let Join { relation, global, join_operator } = join;
            absent(*global, "GLOBAL JOIN", "leave GLOBAL out")?;
            self.table_factor(relation)?;
            self.join_operator(join_operator)?;
        }
        Ok(())
    }

    fn join_operator(&mut self, operator: &mut JoinOperator) -> Result<()> {
        use JoinOperator as Op;
        // SEMI and ANTI without a side are the left ones.
        *operator = match std::mem::replace(operator, Op::CrossApply) {
            Op::Semi(constraint) => Op::LeftSemi(constraint),
            Op::Anti(constraint) => Op::LeftAnti(constraint),
            other => other,
        };
        match operator {
            Op::Join(constraint)
            | Op::Inner(constraint)
            | Op::Left(constraint)
            | Op::LeftOuter(constraint)
            | Op::Right(constraint)
            | Op::RightOuter(constraint)
            | Op::FullOuter(constraint)
            | Op::CrossJoin(constraint)
            | Op::LeftSemi(constraint)
            | Op::LeftAnti(constraint) => self.join_constraint(constraint),
            Op::Semi(_) | Op::Anti(_) => Ok(()), // replaced above
            Op::RightSemi(_) | Op::RightAnti(_) => {
                refuse("RIGHT SEMI or RIGHT ANTI JOIN", "swap the tables and write LEFT SEMI or LEFT ANTI")
            }
            Op::CrossApply | Op::OuterApply => refuse("APPLY", "join a subquery with LATERAL (SELECT …)"),
            Op::AsOf { .. } => refuse("ASOF JOIN", "join on a range and keep the first row with QUALIFY"),
            Op::StraightJoin(_) => refuse("STRAIGHT_JOIN", "write JOIN"),
            Op::ArrayJoin | Op::LeftArrayJoin | Op::InnerArrayJoin => {
                refuse("ARRAY JOIN", "select explode(column) in the SELECT list")
            }
        }
    }

    fn join_constraint(&mut self, constraint: &mut JoinConstraint) -> Result<()> {
        match constraint {
            JoinConstraint::On(expr) => self.expr(expr),
            JoinConstraint::Using(columns) => match columns.iter().find(|column| column.0.len() != 1) {
                Some(column) => refuse(&format!("{column} in USING"), "name the common column without its table"),
                None => Ok(()),
            },
            JoinConstraint::Natural | JoinConstraint::None => Ok(()),
        }
    }

    pub(super) fn table_factor(&mut self, factor: &mut TableFactor) -> Result<()> {
        if matches!(factor, TableFactor::Table { .. }) {
            self.visit.table(factor)?;
        }
        self.deeper(|walk| walk.table_factor_parts(factor))
    }

    fn table_factor_parts(&mut self, factor: &mut TableFactor) -> Result<()> {
        const SAMPLE: &str = "write it behind the table inside of the subquery";
        match factor {
            TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                check_name(name)?;
                absent(!with_hints.is_empty(), "WITH (hints) behind a table", "leave it out")?;
                match version {
                    None => {}
                    Some(TableVersion::VersionAsOf(_)) => return refuse("VERSION AS OF", OLD_VERSIONS),
                    Some(TableVersion::TimestampAsOf(_)) => return refuse("TIMESTAMP AS OF", OLD_VERSIONS),
                    Some(TableVersion::ForSystemTimeAsOf(_)) => return refuse("FOR SYSTEM_TIME AS OF", OLD_VERSIONS),
                    Some(TableVersion::Function(_)) => return refuse("AT or BEFORE behind a table", OLD_VERSIONS),
                    Some(TableVersion::Changes { changes: _, at: _, end: _ }) => {
                        return refuse("CHANGES", OLD_VERSIONS);
                    }
                }
                absent(*with_ordinality, "WITH ORDINALITY", "use posexplode(column)")?;
                absent(!partitions.is_empty(), "PARTITION (…) behind a table", "filter with WHERE")?;
                absent(json_path.is_some(), "a path behind a table", "select explode(column) in the SELECT list")?;
                if let Some(sample) = sample {
                    self.sample(sample)?;
                }
                absent(!index_hints.is_empty(), "an index hint", "leave it out: tables have no indexes")?;
                if let Some(TableFunctionArgs { args, settings }) = args {
                    absent(settings.is_some(), "SETTINGS", "leave it out")?;
                    args.iter_mut().try_for_each(|arg| self.function_arg(arg))?;
                }
                self.optional_alias(alias)
            }
            TableFactor::Derived {
                lateral: _, // planned as a correlated join
                subquery,
                alias,
                sample,
            } => {
                absent(sample.is_some(), "TABLESAMPLE of a subquery", SAMPLE)?;
                self.query(subquery)?;
                self.optional_alias(alias)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                self.table_with_joins(table_with_joins)?;
                self.optional_alias(alias)
            }
            TableFactor::TableFunction { expr: _, alias: _ } => {
                refuse("TABLE(…) in FROM", "call the table function directly: FROM range(10)")
            }
            TableFactor::Function { lateral: _, name, args, with_ordinality, alias } => {
                check_name(name)?;
                absent(*with_ordinality, "WITH ORDINALITY", "use posexplode(column)")?;
                args.iter_mut().try_for_each(|arg| self.function_arg(arg))?;
                self.optional_alias(alias)
            }
            TableFactor::UNNEST { .. } => refuse("UNNEST", "select explode(column) in the SELECT list"),
            TableFactor::JsonTable { .. } => refuse("JSON_TABLE", "use from_json(column, schema)"),
            TableFactor::OpenJsonTable { .. } => refuse("OPENJSON", "use from_json(column, schema)"),
            TableFactor::XmlTable { .. } => refuse("XMLTABLE", "parse XML in a notebook or job"),
            TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } => {
                const VALUES: &str = "list the values: FOR column IN ('a', 'b')";
                absent(default_on_null.is_some(), "DEFAULT ON NULL", "use coalesce in the SELECT list")?;
                self.table_factor(table)?;
                self.exprs_with_alias(aggregate_functions)?;
                self.exprs(value_column)?;
                match value_source {
                    PivotValueSource::List(values) => self.exprs_with_alias(values)?,
                    PivotValueSource::Any(_) => return refuse("PIVOT over ANY", VALUES),
                    PivotValueSource::Subquery(_) => return refuse("PIVOT over a subquery", VALUES),
                }
                self.optional_alias(alias)
            }
            TableFactor::Unpivot { table, value, name: _, columns, null_inclusion: _, alias } => {
                self.table_factor(table)?;
                self.expr(value)?;
                self.exprs_with_alias(columns)?;
                self.optional_alias(alias)
            }
            TableFactor::MatchRecognize { .. } => {
                refuse("MATCH_RECOGNIZE", "use window functions such as lag and lead")
            }
            TableFactor::SemanticView { .. } => refuse("SEMANTIC_VIEW", "use a plain view with the aggregates"),
        }
    }

    fn exprs_with_alias(&mut self, exprs: &mut [ExprWithAlias]) -> Result<()> {
        for ExprWithAlias { expr, alias } in exprs {
            alias.as_ref().map_or(Ok(()), check_alias)?;
            self.expr(expr)?;
        }
        Ok(())
    }

    /// `TABLESAMPLE (10 PERCENT)` and `TABLESAMPLE (5 ROWS)`.
    fn sample(&mut self, sample: &mut TableSampleKind) -> Result<()> {
        const SAMPLE: &str = "write TABLESAMPLE (10 PERCENT) or TABLESAMPLE (100 ROWS)";
        let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample;
        let TableSample { modifier, name, quantity, seed, bucket, offset } = sample.as_mut();
        absent(*modifier == TableSampleModifier::Sample, "SAMPLE", SAMPLE)?;
        absent(name.is_some(), "a method of TABLESAMPLE", SAMPLE)?;
        absent(seed.is_some(), "REPEATABLE of TABLESAMPLE", SAMPLE)?;
        absent(bucket.is_some(), "BUCKET of TABLESAMPLE", SAMPLE)?;
        absent(offset.is_some(), "OFFSET of TABLESAMPLE", SAMPLE)?;
        match quantity {
            Some(TableSampleQuantity { parenthesized: true, value, unit: Some(_) }) => self.expr(value),
            _ => refuse("TABLESAMPLE without PERCENT or ROWS", SAMPLE),
        }
    }

    fn optional_alias(&mut self, alias: &mut Option<TableAlias>) -> Result<()> {
        alias.as_mut().map_or(Ok(()), |alias| self.table_alias(alias))
    }

    fn table_alias(&mut self, alias: &mut TableAlias) -> Result<()> {
        let TableAlias {
            explicit: _, // AS or no AS
            name,
            columns,
            at,
        } = alias;
        check_alias(name)?;
        absent(at.is_some(), "AT behind an alias", "use posexplode(column)")?;
        for TableAliasColumnDef { name: _, data_type } in columns {
            absent(data_type.is_some(), "a type in a list of column aliases", "cast the column in the SELECT list")?;
        }
        Ok(())
    }

    pub(super) fn exprs(&mut self, exprs: &mut [Expr]) -> Result<()> {
        exprs.iter_mut().try_for_each(|expr| self.expr(expr))
    }

    pub(super) fn optional(&mut self, expr: &mut Option<Expr>) -> Result<()> {
        expr.as_mut().map_or(Ok(()), |expr| self.expr(expr))
    }
}

/// A relation's or function's name: one to four identifiers.
pub(super) fn check_name(name: &ObjectName) -> Result<()> {
    if name.0.iter().any(|part| part.as_ident().is_none()) {
        return refuse(&format!("the computed name {name}"), "write the name, or IDENTIFIER('name')");
    }
    if name.0.iter().filter_map(|part| part.as_ident()).any(is_string) {
        return refuse(&format!("the string {name} as a name"), "write the name between backticks");
    }
    if name.0.len() > 4 {
        return Err(SyntaxError::syntax(format!("name {name} has more than four parts")));
    }
    Ok(())
}

/// sqlparser takes a string where a name belongs.
fn is_string(name: &Ident) -> bool {
    name.quote_style == Some('\'')
}

fn check_alias(alias: &Ident) -> Result<()> {
    absent(is_string(alias), "a string as an alias", "write the alias between backticks")
}

fn wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    let WildcardAdditionalOptions {
        wildcard_token: _,
        opt_ilike,
        opt_exclude,
        opt_except,
        opt_replace,
        opt_rename,
        opt_alias,
    } = options;
    absent(opt_ilike.is_some(), "* ILIKE", "name the columns")?;
    absent(opt_exclude.is_some(), "* EXCLUDE", "write * EXCEPT (columns)")?;
    absent(opt_replace.is_some(), "* REPLACE", "write * EXCEPT (column), expression AS column")?;
    absent(opt_rename.is_some(), "* RENAME", "write * EXCEPT (column), column AS name")?;
    absent(opt_alias.is_some(), "an alias of *", "name the columns")?;
    if let Some(ExceptSelectItem {
        first_element: Ident { value: _, quote_style: _, span: _ },
        additional_elements: _,
    }) = opt_except
    {
        return Ok(());
    }
    Ok(())
}
