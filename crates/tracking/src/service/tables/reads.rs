//! Reading for a query, wherever it computes: on the server's own threads, and as far as its caller may see.

use std::collections::VecDeque;

use crannog_lake::on_server::OnServer;
use crannog_security::actions::{experiments, metastore};
use crannog_security::{Caller, Evidence, Listing, NameOf, ScopeOf};
use crannog_store::query::{Expr, ExprTrait, IntoTableRef, Order, Query, SelectStatement};
use crannog_store::{Db, Row};
use crannog_types::Result;

use super::one_of;
use crate::service::registry::search::schemas;
use crate::sql::search_experiments::seen_by;

/// Whose grants say what is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those on experiments, called e.
    Experiments,
    /// Those on registered models, called s.
    Models,
}

/// Reads on behalf of a caller. Cheap to clone.
#[derive(Clone)]
pub(super) struct Reads {
    db: Db,
    caller: Caller,
    server: OnServer,
    scope: Scope,
}

impl Reads {
    pub(super) fn new(db: Db, caller: Caller, server: OnServer, scope: Scope) -> Self {
        Reads { db, caller, server, scope }
    }

    /// The rows of a query that the caller may see now.
    ///
    /// # Errors
    /// What the database says; that the server is stopping.
    pub(super) async fn seen(&self, query: SelectStatement) -> Result<Vec<Row>> {
        let reads = self.clone();
        let work = async move {
            let Some((evidence, condition)) = reads.evidence().await? else { return Ok(Vec::new()) };
            let mut query = query;
            if let Some(condition) = condition {
                query.and_where(condition);
            }
            Ok(reads.db.read(&*evidence).select(&query).await?)
        };
        self.server.run(work).await
    }

    /// What the caller may read by now, and the condition that cuts it out; `None` for nothing.
    async fn evidence(&self) -> Result<Option<(Box<dyn Evidence>, Option<Expr>)>> {
        match self.scope {
            Scope::Experiments => {
                let visible = self.caller.visible::<experiments::Read>(ScopeOf::root()).await?;
                let condition = match visible.listing() {
                    Listing::All => None,
                    Listing::Granted => Some(seen_by(visible.who().id.0)),
                    Listing::Nothing => return Ok(None),
                };
                Ok(Some((Box::new(visible), condition)))
            }
            Scope::Models => {
                let permit = self.caller.ask::<metastore::Read>(NameOf::root()).await?;
                let schemas = schemas(&self.db, &self.caller, &permit).await?;
                let condition = crannog_governance::service::models::seen(&schemas);
                let Some(evidence) = schemas.into_iter().next() else { return Ok(None) };
                Ok(Some((Box::new(evidence), Some(condition))))
            }
        }
    }
}

/// A run whose rows are to be read.
#[derive(Clone, Debug)]
pub(super) struct RunKey {
    pub(super) seq: i64,
    pub(super) run_id: String,
    pub(super) experiment: i64,
    /// How much there is of it, about, in bytes.
    pub(super) weight: i64,
}

/// Runs that are looked at together.
const RUNS: u64 = 500;

/// Active runs that the caller may see, in groups whose rows fit into memory together; a larger one is a group of its own.
pub(super) struct Groups {
    reads: Reads,
    /// Which runs, and of which experiments, as far as it was asked.
    run_ids: Option<Vec<String>>,
    experiments: Option<Vec<String>>,
    /// What weighs a run called r: a scalar query.
    weight: &'static str,
    /// What a group weighs at most.
    most: i64,
    waiting: VecDeque<RunKey>,
    last: i64,
    ended: bool,
}

impl Groups {
    pub(super) fn new(
        reads: Reads,
        [run_ids, experiments]: [Option<&[String]>; 2],
        weight: &'static str,
        most: i64,
    ) -> Self {
        let [run_ids, experiments] = [run_ids, experiments].map(|only| only.map(<[String]>::to_vec));
        Groups { reads, run_ids, experiments, weight, most, waiting: VecDeque::new(), last: i64::MIN, ended: false }
    }

    /// Whether a group is one run that is larger than groups are.
    pub(super) fn heavy<'g>(&self, group: &'g [RunKey]) -> Option<&'g RunKey> {
        group.first().filter(|run| run.weight > self.most)
    }

    /// The next group; empty at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<RunKey>> {
        while self.waiting.is_empty() && !self.ended {
            self.look().await?;
        }
        let mut weight = 0_i64;
        let fits = |run: &&RunKey| {
            let first = weight == 0;
            weight = weight.saturating_add(run.weight);
            first || weight <= self.most
        };
        let group = self.waiting.iter().take_while(fits).count();
        Ok(self.waiting.drain(..group).collect())
    }

    async fn look(&mut self) -> Result<()> {
        let mut query = Query::select();
        for column in ["seq", "run_id", "experiment"] {
            query.column(("r", column));
        }
        query.expr_as(Expr::cust(self.weight), "weight");
        of_experiments(query.from_as("run", "r"));
        query.and_where(Expr::col(("r", "seq")).gt(self.last));
        if let Some(run_ids) = &self.run_ids {
            query.and_where(one_of("r.run_id", false, run_ids));
        }
        if let Some(experiments) = &self.experiments {
            query.and_where(one_of("(r.experiment + 0)", true, experiments));
        }
        query.order_by(("r", "seq"), Order::Asc).limit(RUNS);
        let rows = self.reads.seen(query).await?;
        self.ended = (rows.len() as u64) < RUNS;
        for row in &rows {
            let run = RunKey { seq: row.int(0)?, run_id: row.text(1)?, experiment: row.int(2)?, weight: row.int(3)? };
            self.last = run.seq;
            if run.weight > 0 {
                self.waiting.push_back(run);
            }
        }
        Ok(())
    }
}

/// Adds the experiments of active runs called r. What stands before them is walked in its order.
pub(super) fn of_experiments(query: &mut SelectStatement) {
    query.cross_join("experiment".into_table_ref().alias("e"));
    query.and_where(Expr::col(("e", "id")).equals(("r", "experiment")));
    query.and_where(Expr::col(("r", "lifecycle")).eq("active"));
}
