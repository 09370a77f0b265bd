//! Where securables' files are: no two overlap, and what spans the database and files survives a crash between them.
//!
//! Files of a new managed object are written under an open intent; the row that makes them somebody's closes it in its own
//! transaction. Dropping goes the other way: the row goes, an intent to delete the files comes, both at once. At start,
//! [`super::reconcile`] deletes the files of whatever intent is still open. A log that is begun in a folder that is not ours has
//! an intent of its own kind ([`NewLog`]): it is taken back by who knows Delta's log, and nothing else of the folder is touched.

use crannog_security::Evidence;
use crannog_storage::{Access, Location, Managed};
use crannog_store::{Db, Tx, params, until_won};
use crannog_types::{Code, Problem, Result, SecurableId};
use uuid::Uuid;

use crate::Governance;

/// An intent that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub(crate) id: String,
    pub(crate) location: String,
}

/// A place for the files of a new managed object, under an intent that its row must close.
pub struct NewPlace {
    /// The object's id, which the folder is called after.
    pub id: SecurableId,
    /// Where the files go.
    pub location: Location,
    intent: Intent,
}

/// A table's log that is begun in a folder that is not ours: its first commit is written under an intent that the table's
/// row closes. Nothing in such a folder is ours to delete but that commit and the files it names.
#[derive(Clone, Debug)]
pub struct NewLog {
    /// The table's folder.
    pub location: Location,
    /// The table's id in the first commit's metadata, which tells that commit from another program's.
    pub table: String,
    intent: Intent,
}

impl NewLog {
    pub(crate) fn of(intent: Intent) -> Result<Self> {
        Ok(NewLog { location: Location::parse(&intent.location)?, table: intent.id.clone(), intent })
    }
}

/// Opens the intent of beginning a log. `table` is a UUID that nothing else has.
pub async fn begin_log(
    governance: &Governance,
    permit: &dyn Evidence,
    location: &Location,
    table: String,
) -> Result<NewLog> {
    let intent = Intent { id: table, location: location.to_string() };
    let begin = || async {
        let mut tx = governance.db.write_unaudited(&super::reconcile::system()).await?;
        insert_intent(&mut tx, "begin_log", &intent).await?;
        Ok::<_, Problem>(tx.commit().await?)
    };
    until_won(begin).await?;
    tracing::debug!(action = permit.action(), %location, "a log is begun");
    NewLog::of(intent)
}

/// Makes the folder of a log that was begun the table's own, in the transaction of its row.
pub(crate) async fn keep_log(tx: &mut Tx, id: SecurableId, log: &NewLog) -> Result<()> {
    claim(tx, id, &log.location.to_string()).await?;
    close_own(tx, &log.intent).await
}

/// Whether the log may be taken back: its table's row is not there, and from now on cannot come.
pub async fn give_up_log(governance: &Governance, log: &NewLog) -> Result<bool> {
    take_over(governance, &log.intent.id).await
}

/// Closes the intent of a log that was taken back, or that turned out to be somebody else's.
pub async fn end_log(governance: &Governance, log: &NewLog) -> Result<()> {
    close_alone(governance, &log.intent.id).await
}

/// Opens a place for a new managed object.
pub async fn begin_managed(governance: &Governance, permit: &dyn Evidence, kind: Managed) -> Result<NewPlace> {
    let id = SecurableId::new();
    let location = governance.storage.managed(kind, id.0);
    let begin = || async {
        let mut tx = governance.db.write_unaudited(&super::reconcile::system()).await?;
        let intent = open_intent(&mut tx, "create_files", &location.to_string()).await?;
        tx.commit().await?;
        Ok::<_, Problem>(intent)
    };
    let intent = until_won(begin).await?;
    tracing::debug!(action = permit.action(), %location, "opened a place for files");
    Ok(NewPlace { id, location, intent })
}

/// Makes the place the object's own, in the transaction of its row.
pub(crate) async fn keep(tx: &mut Tx, place: &NewPlace) -> Result<()> {
    claim(tx, place.id, &place.location.to_string()).await?;
    close_own(tx, &place.intent).await
}

/// Closes an intent in the transaction of the row that it was for.
async fn close_own(tx: &mut Tx, intent: &Intent) -> Result<()> {
    const CLOSE: &str = "DELETE FROM intent WHERE id = $1 AND claimed_at IS NULL";
    if tx.run(CLOSE, params![intent.id.clone()]).await? == 1 {
        return Ok(());
    }
    // Another process was started meanwhile, took this one for dead and deletes the files.
    Err(Problem::new(Code::Aborted, "the new object's files were given up while it was made")
        .reason("ABORTED")
        .hint("another server was started on the same database; run the statement again"))
}

/// Takes an intent over: from now on whoever opened it cannot close it with a row of its own. `false` when it is closed.
///
/// This keeps the opener out, not others who want to delete the same: a process that took an intent over may have died before
/// it deleted anything, and deleting twice does no harm.
pub(crate) async fn take_over(governance: &Governance, id: &str) -> Result<bool> {
    const TAKE: &str = "UPDATE intent SET claimed_at = $2 WHERE id = $1";
    let take = || async {
        let mut tx = governance.db.write_unaudited(&super::reconcile::system()).await?;
        let now = tx.now();
        let taken = tx.run(TAKE, params![id, now]).await?;
        tx.commit().await?;
        Ok(taken == 1)
    };
    until_won(take).await
}

/// Gives a place up after a failure: deletes its files and closes the intent, unless its object was made all the same (a commit
/// whose answer did not come). What fails stays for the next start.
pub async fn abandon(governance: &Governance, permit: &dyn Evidence, place: NewPlace) {
    let given_up = async {
        if take_over(governance, &place.intent.id).await? {
            finish_deleting(governance, permit, vec![place.intent]).await?;
        }
        Ok::<_, Problem>(())
    };
    if let Err(problem) = given_up.await {
        let (location, cause) = (&place.location, problem.chain());
        tracing::warn!(%location, cause, "files of an object that was not made stay until the next start");
    }
}

/// Says that a location is a securable's.
///
/// # Errors
/// When it overlaps another's.
pub(crate) async fn claim(tx: &mut Tx, id: SecurableId, location: &str) -> Result<()> {
    let path = with_slash(location);
    // All claimed paths end in a slash and none contains another, so whatever contains the new one is the last before it.
    let before = tx
        .row("SELECT path FROM location_index WHERE path <= $1 ORDER BY path DESC LIMIT 1", params![path.clone()])
        .await?;
    let after =
        tx.row("SELECT path FROM location_index WHERE path >= $1 ORDER BY path LIMIT 1", params![path.clone()]).await?;
    let contains = before.map(|row| row.text(0)).transpose()?.is_some_and(|other| path.starts_with(&other));
    let contained = after.map(|row| row.text(0)).transpose()?.is_some_and(|other| other.starts_with(&path));
    if contains || contained {
        // The other's name would be told to somebody who may not see it.
        return Err(Problem::new(
            Code::InvalidArgument,
            format!("the location {location} overlaps that of another object"),
        )
        .reason("LOCATION_OVERLAP")
        .hint("choose a folder that no table or volume uses, and that contains none"));
    }
    tx.run("INSERT INTO location_index (path, securable) VALUES ($1, $2)", params![path, id]).await?;
    Ok(())
}

/// The securable whose location contains a path, if any.
pub async fn owner_of_path(db: &Db, evidence: &dyn Evidence, location: &Location) -> Result<Option<SecurableId>> {
    let path = with_slash(&location.to_string());
    let found = db
        .read(evidence)
        .row(
            "SELECT path, securable FROM location_index WHERE path <= $1 ORDER BY path DESC LIMIT 1",
            params![path.clone()],
        )
        .await?;
    match found {
        Some(row) if path.starts_with(&row.text(0)?) => Ok(Some(row.securable(1)?)),
        _ => Ok(None),
    }
}

/// Deletes the rows of everything below a container; gives the intents to delete the files of what was managed.
pub(crate) async fn drop_below(tx: &mut Tx, container: SecurableId) -> Result<Vec<Intent>> {
    const BELOW: &str = "WITH RECURSIVE below (id, depth) AS (\
           SELECT id, cast(1 AS bigint) FROM securable WHERE parent = $1 \
         UNION ALL SELECT s.id, below.depth + 1 FROM securable s JOIN below ON s.parent = below.id) \
         SELECT b.id, coalesce(t.table_type, v.volume_type), coalesce(t.location, v.location) FROM below b \
         LEFT JOIN table_info t ON t.id = b.id LEFT JOIN volume_info v ON v.id = b.id ORDER BY b.depth DESC";
    let mut intents = Vec::new();
    for row in tx.rows(BELOW, params![container]).await? {
        if row.opt_text(1)?.as_deref() == Some("MANAGED")
            && let Some(location) = row.opt_text(2)?
        {
            intents.push(open_intent(tx, "delete_files", &location).await?);
        }
        let id = row.securable(0)?;
        super::models::drop_files(tx, id).await?;
        tx.run("DELETE FROM securable WHERE id = $1", params![id]).await?;
    }
    Ok(intents)
}

/// Notes that the files of a location are to be deleted, in the transaction that drops their object.
pub(crate) async fn intend_to_delete(tx: &mut Tx, location: &str) -> Result<Intent> {
    open_intent(tx, "delete_files", location).await
}

/// Deletes the files of these intents and closes them. What fails stays open for the next start.
pub(crate) async fn finish_deleting(
    governance: &Governance,
    evidence: &dyn Evidence,
    intents: Vec<Intent>,
) -> Result<()> {
    for intent in intents {
        let deleted = async {
            let location = Location::parse(&intent.location)?;
            let folder = governance.storage.open(evidence, &location, Access::ReadWrite)?;
            folder.delete_all().await
        };
        if let Err(error) = deleted.await {
            tracing::warn!(%error, location = intent.location, "files of a dropped object stay until the next start");
            continue;
        }
        // The object is gone by now, whatever happens to its intent: a failure here must not be the request's.
        if let Err(error) = close_alone(governance, &intent.id).await {
            tracing::warn!(%error, location = intent.location, "the intent of deleted files stays until the next start");
        }
    }
    Ok(())
}

async fn close_alone(governance: &Governance, id: &str) -> Result<()> {
    let close = || async {
        let mut tx = governance.db.write_unaudited(&super::reconcile::system()).await?;
        close_intent(&mut tx, id).await?;
        Ok(tx.commit().await?)
    };
    until_won(close).await
}

async fn open_intent(tx: &mut Tx, kind: &'static str, location: &str) -> Result<Intent> {
    let intent = Intent { id: Uuid::now_v7().to_string(), location: location.to_owned() };
    insert_intent(tx, kind, &intent).await?;
    Ok(intent)
}

async fn insert_intent(tx: &mut Tx, kind: &'static str, intent: &Intent) -> Result<()> {
    let now = tx.now();
    tx.run(
        "INSERT INTO intent (id, kind, location, created_at) VALUES ($1, $2, $3, $4)",
        params![intent.id.clone(), kind, intent.location.clone(), now],
    )
    .await?;
    Ok(())
}

async fn close_intent(tx: &mut Tx, id: &str) -> Result<()> {
    tx.run("DELETE FROM intent WHERE id = $1", params![id]).await?;
    Ok(())
}

fn with_slash(location: &str) -> String {
    format!("{}/", location.trim_end_matches('/'))
}
