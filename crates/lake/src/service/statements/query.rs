//! Queries: SELECT and EXPLAIN.

use std::sync::PoisonError;

use crannog_types::{FullName, Result, fold};
use sqlparser::ast::Query;

use super::answer::{Answer, Type};
use super::{Run, not_yet};
use crate::grammar::Statement;
use crate::grammar::statement::{Explain, ExplainMode as Mode};
use crate::ports::{BoundQuery, ExplainMode, InsertInto, Prepared, Relations};

impl Run {
    pub(super) async fn query(&self, query: Query) -> Result<Answer> {
        let prepared = self.prepare(query, None).await?;
        let schema = prepared.schema();
        Ok(Answer { schema, rows: prepared.run().await? })
    }

    /// Resolves, asks and plans.
    pub(super) async fn prepare(&self, query: Query, into: Option<InsertInto>) -> Result<Box<dyn Prepared>> {
        let relations = self.relations(&query).await?;
        self.plan(query, relations, into).await
    }

    /// Plans what was resolved.
    pub(super) async fn plan(
        &self,
        query: Query,
        relations: Relations,
        into: Option<InsertInto>,
    ) -> Result<Box<dyn Prepared>> {
        let bound = BoundQuery { query, relations, session: self.session.clone(), into };
        let prepared = self.lake.engine.prepare(bound).await?;
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, columns) in prepared.columns_read() {
            let name = FullName::of(key);
            for read in touched.reads.iter_mut().filter(|read| fold(&read.name.to_string()) == name.to_string()) {
                read.columns.clone_from(&columns);
            }
        }
        drop(touched);
        Ok(prepared)
    }

    pub(super) async fn explain(&self, explain: Explain) -> Result<Answer> {
        let query = match *explain.statement {
            Statement::Query(query) => *query,
            Statement::Insert(insert) => *insert.source,
            other => return Err(not_yet(&format!("EXPLAIN {}", other.kind()))),
        };
        let mode = match explain.mode {
            Mode::Simple | Mode::Formatted | Mode::Cost => ExplainMode::Simple,
            Mode::Extended => ExplainMode::Extended,
        };
        let text = self.prepare(query, None).await?.explain(mode)?;
        Answer::table(&[("plan", Type::Text)], &[vec![text.into()]])
    }
}
