//! SQL texts and the mapping of rows, shared by the verbs of all kinds of objects.

use crannog_security::actions::Action;
use crannog_security::{Kind, Listing, Securable, Visible};
use crannog_store::query::{Expr, ExprTrait, Query, SelectStatement};
use crannog_store::{Audit, Row, StoreError, Tx, Value, params};
use crannog_types::{Code, FullName, Page, PrincipalId, Problem, Result, SecurableId, check_name, fold};

use crate::model::objects::{Object, Properties};

/// The columns of [`object`], of a `securable` called s; the joins that they need.
macro_rules! object_columns {
    () => {
        "s.id, s.name, s.owner, o.name, s.comment, s.created_at, s.created_by, s.updated_at, s.updated_by"
    };
}
macro_rules! object_joins {
    () => {
        " FROM securable s JOIN principal o ON o.id = s.owner"
    };
}
/// The end of every list: children of $1 of a kind, after $2, all when $3 is 1, else those that member $4 owns or has a
/// grant on; $5 of them.
macro_rules! visible_children {
    ($kind:literal) => {
        concat!(
            " WHERE s.parent = $1 AND s.kind = '",
            $kind,
            "' AND s.folded > $2 AND ($3 = 1 \
               OR s.owner IN (SELECT c.principal FROM closure c WHERE c.member = $4) \
               OR EXISTS (SELECT 1 FROM securable_grant g JOIN closure c ON c.principal = g.principal \
                          WHERE g.securable = s.id AND c.member = $4)) \
             ORDER BY s.folded LIMIT $5"
        )
    };
}
pub(crate) use {object_columns, object_joins, visible_children};

/// How many columns [`object_columns`] are.
pub(crate) const OBJECT_COLUMNS: usize = 9;

/// Reads [`object_columns`] at the front of a row; `above` is the full name of the container.
pub(crate) fn object(row: &Row, above: &FullName) -> Result<Object, StoreError> {
    Ok(Object {
        id: row.securable(0)?,
        name: above.child(&row.text(1)?),
        owner_id: row.principal(2)?,
        owner: row.text(3)?,
        comment: row.opt_text(4)?,
        created_at: row.micros(5)?,
        created_by: row.text(6)?,
        updated_at: row.micros(7)?,
        updated_by: row.text(8)?,
    })
}

/// The container's name of a full name.
pub(crate) fn above(name: &FullName) -> FullName {
    let parts = name.parts();
    FullName::of(parts[..parts.len().saturating_sub(1)].to_vec())
}

/// The parameters of [`visible_children`]; `None` when nothing may be listed.
pub(crate) fn list_params<A: Action>(visible: &Visible<A>, page: &Page) -> Option<Vec<Value>> {
    if visible.listing() == Listing::Nothing {
        return None;
    }
    let all = i64::from(visible.listing() == Listing::All);
    let after = page.after.clone().unwrap_or_default();
    Some(params![visible.scope().id, after, all, visible.who().id, page.fetch()])
}

/// The condition of a built query that a securable of this alias is one of the action's kind which the caller may see, in one
/// of some containers: what [`visible_children`] shows of each of them.
pub(crate) fn seen<A: Action>(alias: &'static str, under: &[Visible<A>]) -> Expr {
    let of = |listing: Listing| {
        let ids = under.iter().filter(move |container| container.listing() == listing);
        let ids: Vec<String> = ids.map(|container| container.scope().id.to_string()).collect();
        Expr::col((alias, "parent")).is_in(ids)
    };
    let Some(first) = under.first() else { return Expr::cust("1 = 0") };
    let closure = || -> SelectStatement {
        Query::select()
            .column(("c", "principal"))
            .from_as("closure", "c")
            .and_where(Expr::col(("c", "member")).eq(first.who().id.0))
            .to_owned()
    };
    let granted = Query::select()
        .expr(Expr::cust("1"))
        .from_as("securable_grant", "g")
        .and_where(Expr::col(("g", "securable")).equals((alias, "id")))
        .and_where(Expr::col(("g", "principal")).in_subquery(closure()))
        .to_owned();
    let near = Expr::col((alias, "owner")).in_subquery(closure()).or(Expr::exists(granted));
    let seen = of(Listing::All).or(of(Listing::Granted).and(near));
    Expr::col((alias, "kind")).eq(A::On::KIND.word()).and(seen)
}

/// A new object in the table of all of them.
pub(crate) struct NewObject<'a> {
    pub(crate) id: SecurableId,
    pub(crate) kind: Kind,
    pub(crate) parent: SecurableId,
    /// The container's full name.
    pub(crate) above: &'a FullName,
    /// The last part, checked.
    pub(crate) name: &'a str,
    pub(crate) owner: PrincipalId,
    pub(crate) comment: Option<&'a str>,
}

/// Inserts an object; gives its full name.
///
/// # Errors
/// When the name is taken: `TABLE_ALREADY_EXISTS` and the like, which clients look for.
pub(crate) async fn insert(tx: &mut Tx, new: NewObject<'_>) -> Result<FullName> {
    let full = new.above.child(new.name);
    let (now, author) = (tx.now(), tx.author());
    let inserted = tx
        .run(
            "INSERT INTO securable (id, kind, parent, name, folded, path, owner, comment, created_at, created_by, \
             updated_at, updated_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9, $10) ON CONFLICT DO NOTHING",
            params![
                new.id,
                new.kind.word(),
                new.parent,
                new.name,
                fold(new.name),
                fold(&full.to_string()),
                new.owner,
                new.comment.filter(|comment| !comment.is_empty()),
                now,
                author,
            ],
        )
        .await?;
    if inserted == 0 {
        return Err(taken(new.kind, &full));
    }
    tx.bump().await?;
    Ok(full)
}

/// The answer for a name that is taken.
pub(crate) fn taken(kind: Kind, name: &FullName) -> Problem {
    let reason = match kind {
        Kind::Catalog => "CATALOG_ALREADY_EXISTS",
        Kind::Schema => "SCHEMA_ALREADY_EXISTS",
        Kind::Table => "TABLE_ALREADY_EXISTS",
        Kind::Volume => "VOLUME_ALREADY_EXISTS",
        Kind::Metastore
        | Kind::Model
        | Kind::Warehouse
        | Kind::SecretScope
        | Kind::Experiment
        | Kind::Run
        | Kind::LoggedModel
        | Kind::Any => "RESOURCE_ALREADY_EXISTS",
    };
    let state = if kind == Kind::Schema { "42P06" } else { "42P07" };
    Problem::new(Code::AlreadyExists, format!("{kind} '{name}' already exists"))
        .reason(reason)
        .sql_state(state)
        .hint("choose another name, or CREATE … IF NOT EXISTS")
}

/// Renames an object and everything below it.
pub(crate) async fn rename(tx: &mut Tx, id: SecurableId, kind: Kind, old: &FullName, new_last: &str) -> Result<()> {
    let new_last = check_name(new_last)?;
    let new = above(old).child(&new_last);
    let (old_path, new_path) = (fold(&old.to_string()), fold(&new.to_string()));
    if old_path != new_path {
        let there = tx
            .row("SELECT 1 FROM securable WHERE kind = $1 AND path = $2", params![kind.word(), new_path.clone()])
            .await?;
        if there.is_some() {
            return Err(taken(kind, &new));
        }
        // Below it every path begins with the old one and a dot; '/' is the character after the dot, and text is compared
        // by bytes. Secret scopes may have dots in their names and lie below nothing.
        tx.run(
            "UPDATE securable SET path = $1 || substr(path, CAST($2 AS integer)) \
             WHERE kind IN ('schema', 'table', 'volume', 'registered_model') AND path > $3 AND path < $4",
            params![
                new_path.clone(),
                i64::try_from(old_path.chars().count()).unwrap_or(i64::MAX) + 1,
                format!("{old_path}."),
                format!("{old_path}/"),
            ],
        )
        .await?;
    }
    let (now, author) = (tx.now(), tx.author());
    tx.run(
        "UPDATE securable SET name = $1, folded = $2, path = $3, updated_at = $4, updated_by = $5 WHERE id = $6",
        params![new_last.clone(), fold(&new_last), new_path, now, author, id],
    )
    .await?;
    Ok(tx.bump().await?)
}

/// Sets an object's owner by the new owner's name.
pub(crate) async fn transfer(tx: &mut Tx, id: SecurableId, owner: &str) -> Result<()> {
    let owner = principal(tx, owner).await?;
    tx.run("UPDATE securable SET owner = $1 WHERE id = $2", params![owner, id]).await?;
    Ok(tx.bump().await?)
}

/// Says when and by whom an object was last changed.
pub(crate) async fn touch(tx: &mut Tx, id: SecurableId) -> Result<()> {
    let (now, author) = (tx.now(), tx.author());
    tx.run("UPDATE securable SET updated_at = $1, updated_by = $2 WHERE id = $3", params![now, author, id]).await?;
    Ok(())
}

/// The principal of a name.
pub(crate) async fn principal(tx: &mut Tx, name: &str) -> Result<PrincipalId> {
    match tx.row("SELECT id FROM principal WHERE folded = $1", params![fold(name)]).await? {
        Some(row) => Ok(row.principal(0)?),
        None => Err(Problem::new(Code::NotFound, format!("principal '{name}' does not exist"))
            .reason("PRINCIPAL_DOES_NOT_EXIST")
            .sql_state("42704")
            .hint("create the user, group or service principal first; names of users are their e-mail addresses")),
    }
}

/// Properties as they are kept.
pub(crate) fn to_json(properties: &Properties) -> String {
    serde_json::to_string(properties).unwrap_or_else(|_| "{}".to_owned())
}

/// Properties as they were kept.
pub(crate) fn from_json(text: &str) -> Result<Properties> {
    serde_json::from_str(text).map_err(|error| Problem::internal("stored properties cannot be read", error))
}

/// The audit of a change of an object, in Databricks' words.
pub(crate) fn audit(action: &'static str, name: &FullName) -> Audit {
    Audit::of("unityCatalog", action).with("full_name_arg", name.to_string())
}
