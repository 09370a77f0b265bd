//! Statements that look after tables: VACUUM, OPTIMIZE, RESTORE, ANALYZE.

use sqlparser::ast::Expr;

use super::Name;

#[derive(Debug, Clone, PartialEq)]
pub struct Vacuum {
    pub table: Name,
    /// RETAIN n HOURS
    pub retain_hours: Option<f64>,
    pub dry_run: bool,
    /// LITE
    pub lite: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Optimize {
    pub table: Name,
    pub full: bool,
    pub condition: Option<Expr>,
    pub zorder_by: Vec<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Restore {
    pub table: Name,
    pub to: TableVersion,
}

#[derive(Debug, Clone, PartialEq)]
pub enum TableVersion {
    Version(u64),
    Timestamp(Expr),
}

/// ANALYZE TABLE … COMPUTE STATISTICS
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analyze {
    pub table: Name,
    pub columns: AnalyzeColumns,
    /// NOSCAN
    pub no_scan: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnalyzeColumns {
    /// Row count and size only.
    None,
    All,
    These(Vec<String>),
    /// COMPUTE DELTA STATISTICS: the statistics in the log that skip files.
    Delta,
}
