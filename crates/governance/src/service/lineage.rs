//! Lineage: the one place where flows are recorded, and where they are read, cut to what the caller may see.
//!
//! A row names objects by their ids. Whoever reads sees it when they may see everything that it names: the tables, views and
//! volumes, the models, and the experiment of the run ([docs/adr/0010-lineage.md]). What was dropped nobody may see any more
//! but administrators, who see all rows.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use crannog_security::actions::{Action, experiments, metastore, models, tables, volumes};
use crannog_security::{Caller, Decision, Evidence, Kind, NameOf, Permit, Reference, Rule, ScopeOf, Visible};
use crannog_store::query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use crannog_store::{Db, Row, StoreError, Tx, params};
use crannog_types::{FullName, Micros, Problem, Result, SecurableId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::model::lineage::{Event, Flow, Node, NodeType, Recorded};
use crate::sql;

/// An hour, in microseconds: the same flow by the same person is recorded once in each.
const HOUR: i64 = 3_600_000_000;

const INSERT: &str = "INSERT INTO lineage (record_id, event_id, event_time, principal, principal_name, statement_id, \
     experiment, run_id, model_id, context, source, source_type, source_name, source_path, source_version, target, \
     target_type, target_name, target_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, \
     $16, $17, $18, $19) ON CONFLICT DO NOTHING";

/// Records what flowed, in the transaction of whoever makes it flow.
pub async fn record(tx: &mut Tx, event: &Event<'_>) -> Result<(), StoreError> {
    let event_id = Uuid::now_v7().to_string();
    for flow in event.flows {
        let id = |node: &Option<Node>| node.as_ref().map(|node| node.id.to_string());
        let word = |node: &Option<Node>| node.as_ref().map(|node| node.node_type.word());
        let name = |node: &Option<Node>| node.as_ref().map(|node| node.name.to_string());
        let version = |node: &Option<Node>| node.as_ref().and_then(|node| node.version);
        tx.run(
            INSERT,
            params![
                record_id(event, flow),
                event_id.as_str(),
                event.at,
                event.who.id,
                &*event.who.name,
                event.statement,
                event.part.map(|part| part.experiment.to_string()),
                event.part.and_then(|part| part.run_id.clone()),
                event.part.and_then(|part| part.model_id.clone()),
                flow.context.clone(),
                id(&flow.source),
                word(&flow.source),
                name(&flow.source),
                flow.source.as_ref().and_then(|source| source.path.clone()),
                version(&flow.source),
                id(&flow.target),
                word(&flow.target),
                name(&flow.target),
                version(&flow.target),
            ],
        )
        .await?;
    }
    Ok(())
}

/// What a row says, and of a statement its hour, as one short text.
fn record_id(event: &Event<'_>, flow: &Flow) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: Option<&str>| {
        // Its length before it: no two lists of texts are the same bytes.
        hash.update(text.map_or(-1, |text| i64::try_from(text.len()).unwrap_or(i64::MAX)).to_be_bytes());
        hash.update(text.unwrap_or_default().as_bytes());
    };
    let by_hour = event.statement.map(|_| format!("{} {}", event.at.0.div_euclid(HOUR), event.who.id));
    add(by_hour.as_deref());
    add(event.part.map(|part| part.experiment.to_string()).as_deref());
    add(event.part.and_then(|part| part.run_id.as_deref()));
    add(event.part.and_then(|part| part.model_id.as_deref()));
    add(flow.context.as_deref());
    for node in [&flow.source, &flow.target] {
        add(node.as_ref().map(|node| node.id.to_string()).as_deref());
        add(node.as_ref().map(|node| node.node_type.word()));
        add(node.as_ref().and_then(|node| node.path.as_deref()));
        add(node.as_ref().and_then(|node| node.version).map(|version| version.to_string()).as_deref());
    }
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Which flows are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of tables, views and files.
    OfTables,
    /// Those that end at versions of models which are there.
    OfVersions,
    /// What some runs read.
    OfRuns(Vec<String>),
}

/// The time and the id of a row: behind it begins the next page.
pub type Place = (Micros, String);

/// What of it is asked for: a page, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Which flows.
    pub which: Which,
    /// When they were, in microseconds since 1970.
    pub within: RangeInclusive<i64>,
    /// The last row of the page before.
    pub behind: Option<Place>,
    /// Rows of a page.
    pub most: u64,
}

impl Asked {
    /// The place of a page's last row, unless it is the last page.
    pub fn next(&self, page: &[Recorded]) -> Option<Place> {
        let last = page.last().filter(|_| page.len() as u64 >= self.most)?;
        Some((last.at, last.record_id.clone()))
    }
}

/// What a caller may see of it.
enum Sight {
    /// All of it.
    Administrator(Permit<metastore::Administer>),
    /// What is visible in these.
    Granted(Box<Granted>),
}

struct Granted {
    permit: Permit<metastore::Read>,
    tables: Vec<Visible<tables::ReadMetadata>>,
    volumes: Vec<Visible<volumes::ReadMetadata>>,
    models: Vec<Visible<models::ReadMetadata>>,
    experiments: [Visible<experiments::Read>; 1],
}

impl Sight {
    async fn of(db: &Db, caller: &Caller) -> Result<Self> {
        // Asking outright would put a refusal of everybody who looks into the audit.
        if let (_, Decision::Allowed(_)) = caller.explain(Rule::Admin, &Reference::Root).await? {
            return Ok(Sight::Administrator(caller.ask(NameOf::root()).await?));
        }
        let permit: Permit<metastore::Read> = caller.ask(NameOf::root()).await?;
        let experiments = [caller.visible(ScopeOf::root()).await?];
        let (mut tables, mut volumes, mut models) = (Vec::new(), Vec::new(), Vec::new());
        let named = "SELECT DISTINCT p.path FROM securable s JOIN securable p ON p.id = s.parent WHERE p.kind = 'schema' \
                     AND s.id IN (SELECT source FROM lineage UNION SELECT target FROM lineage) ORDER BY p.path";
        for row in db.read(&permit).rows(named, params![]).await? {
            let schema = FullName::of(row.text(0)?.split('.'));
            // Nobody asked for this schema: that it is not seen is nothing for the audit.
            let about = Reference::Named(Kind::Schema, schema.clone());
            if let (_, Decision::Allowed(_)) = caller.explain(Rule::Visible, &about).await? {
                tables.extend(caller.visible(ScopeOf::under(schema.clone())).await);
                volumes.extend(caller.visible(ScopeOf::under(schema.clone())).await);
                models.extend(caller.visible(ScopeOf::under(schema)).await);
            }
        }
        Ok(Sight::Granted(Box::new(Granted { permit, tables, volumes, models, experiments })))
    }

    fn granted(&self) -> Option<&Granted> {
        match self {
            Sight::Administrator(_) => None,
            Sight::Granted(granted) => Some(granted),
        }
    }

    fn evidence(&self) -> &dyn Evidence {
        match self {
            Sight::Administrator(permit) => permit,
            Sight::Granted(granted) => &granted.permit,
        }
    }
}

impl Granted {
    /// That a securable of this alias, which may not be there, is seen or not named at all.
    fn sees(&self, column: &'static str, alias: &'static str) -> Expr {
        let named = Expr::col(("l", column));
        let seen = match column {
            "experiment" => sql::seen(alias, &self.experiments),
            _ => sql::seen(alias, &self.tables).or(sql::seen(alias, &self.volumes)).or(sql::seen(alias, &self.models)),
        };
        named.is_null().or(seen)
    }
}

/// Flows that the caller may see.
pub async fn page(db: &Db, caller: &Caller, asked: &Asked) -> Result<Vec<Recorded>> {
    let sight = Sight::of(db, caller).await?;
    let query = of_page(sight.granted(), asked);
    let mut found = db.read(sight.evidence()).select(&query).await?.iter().map(read).collect::<Result<Vec<_>>>()?;
    hide_files(caller, &mut found).await?;
    Ok(found)
}

/// The query of a page, cut to what is granted; `None`: all of it.
fn of_page(granted: Option<&Granted>, asked: &Asked) -> SelectStatement {
    let mut query = flows();
    let of_model = Expr::col(("l", "target_type")).eq(NodeType::ModelVersion.word());
    match &asked.which {
        Which::OfTables => query.and_where(Expr::col(("l", "target_type")).is_null().or(of_model.not())),
        Which::OfVersions => {
            let there = Query::select()
                .expr(Expr::cust("1"))
                .from_as("model_version", "v")
                .and_where(Expr::col(("v", "model")).equals(("l", "target")))
                .and_where(Expr::col(("v", "version")).equals(("l", "target_version")))
                .to_owned();
            query.and_where(of_model.and(Expr::exists(there)))
        }
        Which::OfRuns(runs) => {
            let of_run = Expr::col(("l", "run_id")).is_in(runs.iter().map(String::as_str));
            // Without a target; said by its type, because SQLite would take the index by target for the shorter way.
            query.and_where(of_run.and(Expr::col(("l", "target_type")).is_null()))
        }
    };
    if let Some(granted) = granted {
        query
            .and_where(granted.sees("source", "s"))
            .and_where(granted.sees("target", "t"))
            .and_where(granted.sees("experiment", "x"));
    }
    let (at, record) = (|| Expr::col(("l", "event_time")), || Expr::col(("l", "record_id")));
    query.and_where(at().gte(*asked.within.start())).and_where(at().lte(*asked.within.end()));
    if let Some((last, id)) = &asked.behind {
        // The first says nothing new, but is what an index begins at.
        query.and_where(at().lte(last.0)).and_where(at().lt(last.0).or(record().lt(id.as_str())));
    }
    query.order_by(("l", "event_time"), Order::Desc).order_by(("l", "record_id"), Order::Desc).limit(asked.most);
    query
}

/// Leaves of a path the volume alone, for those who may see the volume and not its files.
async fn hide_files(caller: &Caller, found: &mut [Recorded]) -> Result<()> {
    let mut readable = HashMap::new();
    for source in found.iter_mut().filter_map(|recorded| recorded.flow.source.as_mut()) {
        if source.path.is_none() {
            continue;
        }
        let may = match readable.get(&source.id) {
            Some(may) => *may,
            None => {
                let (_, decision) =
                    caller.explain(volumes::Read::RULE, &Reference::Id(Kind::Volume, source.id)).await?;
                // Files of a volume that is gone are named to administrators, who alone see the row.
                let (there, _) = caller.explain(Rule::Visible, &Reference::Id(Kind::Volume, source.id)).await?;
                let may = there.is_none() || matches!(decision, Decision::Allowed(_));
                readable.insert(source.id, may);
                may
            }
        };
        if !may {
            source.path = Some(format!("/Volumes/{}", source.name.parts().join("/")));
        }
    }
    Ok(())
}

/// What aliases of some models point at, as far as the caller may see the models: by model and version.
pub async fn aliases(
    db: &Db,
    caller: &Caller,
    models: impl IntoIterator<Item = SecurableId>,
) -> Result<HashMap<(SecurableId, i64), Vec<String>>> {
    let sight = Sight::of(db, caller).await?;
    let mut query = Query::select();
    query
        .columns([("a", "model"), ("a", "version"), ("a", "alias")])
        .from_as("model_alias", "a")
        .join_as(JoinType::InnerJoin, "securable", "s", Expr::col(("s", "id")).equals(("a", "model")))
        .and_where(Expr::col(("a", "model")).is_in(models.into_iter().map(|model| model.to_string())))
        .order_by(("a", "alias"), Order::Asc);
    if let Some(granted) = sight.granted() {
        query.and_where(sql::seen("s", &granted.models));
    }
    let mut found: HashMap<_, Vec<String>> = HashMap::new();
    for row in db.read(sight.evidence()).select(&query).await? {
        found.entry((row.securable(0)?, row.int(1)?)).or_default().push(row.text(2)?);
    }
    Ok(found)
}

/// Every column of [`read`], of a flow called l, its ends s and t, their containers, and its experiment x.
fn flows() -> SelectStatement {
    const OF_FLOW: [&str; 9] = [
        "record_id",
        "event_id",
        "event_time",
        "principal_name",
        "statement_id",
        "run_id",
        "model_id",
        "context",
        "source_path",
    ];
    let mut query = Query::select();
    query.columns(OF_FLOW.map(|column| ("l", column))).column(("x", "name")).from_as("lineage", "l");
    for (end, [id, word, name, version], [object, schema, catalog]) in [
        ("source", ["source", "source_type", "source_name", "source_version"], ["s", "sp", "sc"]),
        ("target", ["target", "target_type", "target_name", "target_version"], ["t", "tp", "tc"]),
    ] {
        query
            .columns([id, word, name, version].map(|column| ("l", column)))
            .columns([(catalog, "name"), (schema, "name"), (object, "name")])
            .join_as(JoinType::LeftJoin, "securable", object, Expr::col((object, "id")).equals(("l", end)))
            .join_as(JoinType::LeftJoin, "securable", schema, Expr::col((schema, "id")).equals((object, "parent")))
            .join_as(JoinType::LeftJoin, "securable", catalog, Expr::col((catalog, "id")).equals((schema, "parent")));
    }
    query.join_as(JoinType::LeftJoin, "securable", "x", Expr::col(("x", "id")).equals(("l", "experiment")));
    query
}

fn read(row: &Row) -> Result<Recorded> {
    let mut source = node(row, 10)?;
    if let Some(source) = &mut source {
        source.path = row.opt_text(8)?;
    }
    Ok(Recorded {
        record_id: row.text(0)?,
        event_id: row.text(1)?,
        at: row.micros(2)?,
        who: row.text(3)?,
        statement: row.opt_text(4)?,
        run_id: row.opt_text(5)?,
        model_id: row.opt_text(6)?,
        experiment: row.opt_text(9)?,
        flow: Flow { source, target: node(row, 17)?, context: row.opt_text(7)? },
    })
}

fn node(row: &Row, at: usize) -> Result<Option<Node>> {
    let Some(word) = row.opt_text(at + 1)? else { return Ok(None) };
    let node_type =
        NodeType::of_word(&word).ok_or_else(|| Problem::internal("a stored flow has an unknown type", word))?;
    let name = match (row.opt_text(at + 4)?, row.opt_text(at + 5)?, row.opt_text(at + 6)?) {
        (Some(catalog), Some(schema), Some(name)) => FullName::of([catalog, schema, name]),
        _ => FullName::of(row.text(at + 2)?.split('.')),
    };
    Ok(Some(Node { id: row.securable(at)?, node_type, name, path: None, version: row.opt_int(at + 3)? }))
}

#[cfg(test)]
mod tests {
    use crannog_security::{System, Task};
    use crannog_store::query::{PostgresQueryBuilder, SqliteQueryBuilder};
    use crannog_store::testing::{Kind, fresh};

    use super::*;

    #[tokio::test]
    async fn what_runs_read_is_found_by_the_runs() {
        #[expect(clippy::disallowed_methods, reason = "a test stands where the program itself does")]
        let system = System::task(Task::Bootstrap);
        for kind in Kind::ALL {
            let folder = std::env::temp_dir().join(format!("crannog-lineage-{}", Uuid::new_v4().simple()));
            std::fs::create_dir(&folder).unwrap();
            let db = fresh(kind, &folder, || Micros(0)).await.unwrap();
            let mut tx = db.write_unaudited(&system).await.unwrap();
            // Mostly what statements read; a run reads two tables.
            let rows = "INSERT INTO lineage (record_id, event_id, event_time, principal, principal_name, run_id, source, source_type, \
                        source_name) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
                        SELECT 'r' || i, 'e', i, 1, 'x', CASE WHEN i % 10 = 0 THEN 'run' || (i / 20) END, 's', 'TABLE', 'a.b.c' FROM n";
            tx.run(rows, params![]).await.unwrap();
            if kind == Kind::Postgres {
                tx.run("ANALYZE lineage", params![]).await.unwrap();
            }
            tx.commit().await.unwrap();
            let runs = (0..250).map(|run| format!("run{run}")).collect();
            let asked = Asked { which: Which::OfRuns(runs), within: i64::MIN..=i64::MAX, behind: None, most: 250 };
            let query = of_page(None, &asked);
            let sql = match kind {
                Kind::Sqlite => format!("EXPLAIN QUERY PLAN {}", query.to_string(SqliteQueryBuilder)),
                Kind::Postgres => format!("EXPLAIN {}", query.to_string(PostgresQueryBuilder)),
            };
            let plan = db.read(&system).rows(sql.leak(), params![]).await.unwrap();
            let column = if kind == Kind::Sqlite { 3 } else { 0 };
            let plan: Vec<String> = plan.iter().map(|row| row.text(column).unwrap()).collect();
            assert!(plan.iter().any(|step| step.contains("lineage_by_run")), "{kind:?}: {plan:#?}");
            assert_eq!(db.read(&system).select(&query).await.unwrap().len(), 250, "{kind:?}");
            db.close().await;
            std::fs::remove_dir_all(&folder).unwrap();
        }
    }
}
