//! Models: registered, read, changed, tagged, dropped.

use std::collections::BTreeMap;

use crannog_governance::model::objects::{Change, Model as Governed};
use crannog_governance::service::models as governed;
use crannog_security::actions::{models, schemas};
use crannog_security::{Action, Evidence, Permit, Visible, kinds};
use crannog_store::query::{Expr, ExprTrait, Order, Query};
use crannog_store::{Db, params};
use crannog_types::{Page, Paged, Result};

use super::{audit, no_model};
use crate::model::experiments::Tag;
use crate::model::limits;
use crate::model::registry::{Model, check_key, check_tag, check_text};
use crate::sql::Rows;

/// A model that somebody registers.
#[derive(Clone, Debug, Default)]
pub struct NewModel {
    /// Its name: one part.
    pub name: String,
    /// What it is for.
    pub comment: Option<String>,
    /// Its tags; the last of one key counts.
    pub tags: Vec<Tag>,
}

/// Registers a model in the permit's schema; its maker owns it.
///
/// # Errors
/// `RESOURCE_ALREADY_EXISTS` for a name that is taken.
pub async fn create(db: &Db, permit: &Permit<schemas::CreateModel>, new: &NewModel) -> Result<Model> {
    check_text("description", new.comment.as_deref())?;
    limits::check_count("tags", limits::TAGS, new.tags.len())?;
    for tag in &new.tags {
        check_tag(tag)?;
    }
    let (mut tx, id) = governed::create(db, permit, &new.name, new.comment.as_deref()).await?;
    tx.run("INSERT INTO registered_model (id, last_version) VALUES ($1, 0)", params![id]).await?;
    static PUT: Rows = Rows::new("INSERT INTO registered_model_tag (model, key, value)", 3, "");
    let tags: BTreeMap<&str, &str> = new.tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    PUT.run(&mut tx, tags, |(key, value)| params![id, key, value]).await?;
    tx.commit().await?;
    let made = governed::made(db, permit, id).await?;
    one(db, permit, made).await
}

/// One model: any permit on it tells what it is.
pub async fn get<A: Action<On = kinds::Model>>(db: &Db, permit: &Permit<A>) -> Result<Model> {
    let found = governed::get(db, permit).await.map_err(|_| no_model(&permit.target().name))?;
    one(db, permit, found).await
}

/// The models of a schema that the caller may see, by name.
pub async fn list(db: &Db, visible: &Visible<models::ReadMetadata>, page: &Page) -> Result<Paged<Model>> {
    let found = governed::list(db, visible, page).await?;
    Ok(Paged { rows: with_data(db, visible, found.rows).await?, next: found.next })
}

/// Changes a model's name, owner or comment.
pub async fn update(db: &Db, permit: &Permit<models::Manage>, change: &Change) -> Result<Model> {
    check_text("description", change.comment.as_deref())?;
    let changed = governed::update(db, permit, change).await?;
    one(db, permit, changed).await
}

/// Drops a model with its versions.
pub async fn delete(db: &Db, permit: &Permit<models::Manage>) -> Result<()> {
    governed::delete(db, permit).await
}

/// Sets a tag of a model.
///
/// # Errors
/// A new one where there are as many as there may be.
pub async fn set_tag(db: &Db, permit: &Permit<models::Tag>, tag: &Tag) -> Result<()> {
    check_tag(tag)?;
    let target = permit.target();
    let mut tx = db.write(permit, audit("setRegisteredModelTag", &target.name).with("key", tag.key.as_str())).await?;
    // None when it is there already.
    let others = "SELECT count(*) FROM registered_model_tag WHERE model = $1 \
                  AND NOT EXISTS (SELECT 1 FROM registered_model_tag WHERE model = $1 AND key = $2)";
    let others = tx.row(others, params![target.id, tag.key.as_str()]).await?;
    limits::check_room("a registered model", others.map(|row| row.int(0)).transpose()?.unwrap_or_default())?;
    tx.run(
        "INSERT INTO registered_model_tag (model, key, value) VALUES ($1, $2, $3) \
         ON CONFLICT (model, key) DO UPDATE SET value = excluded.value",
        params![target.id, tag.key.as_str(), tag.value.as_str()],
    )
    .await?;
    Ok(tx.commit().await?)
}

/// Deletes a tag of a model. One that is not there is no error, as in MLflow.
pub async fn delete_tag(db: &Db, permit: &Permit<models::Tag>, key: &str) -> Result<()> {
    check_key(key)?;
    let target = permit.target();
    let mut tx = db.write(permit, audit("deleteRegisteredModelTag", &target.name).with("key", key)).await?;
    tx.run("DELETE FROM registered_model_tag WHERE model = $1 AND key = $2", params![target.id, key]).await?;
    Ok(tx.commit().await?)
}

async fn one(db: &Db, evidence: &dyn Evidence, found: Governed) -> Result<Model> {
    let name = found.object.name.clone();
    with_data(db, evidence, vec![found]).await?.pop().ok_or_else(|| no_model(&name))
}

/// How many models one read of tags and aliases is about.
const MODELS_A_READ: usize = 100;

/// Models with their tags and aliases.
pub(super) async fn with_data(db: &Db, evidence: &dyn Evidence, found: Vec<Governed>) -> Result<Vec<Model>> {
    let mut models: Vec<Model> =
        found.into_iter().map(|found| Model { object: found.object, tags: Vec::new(), aliases: Vec::new() }).collect();
    for part in models.chunks_mut(MODELS_A_READ) {
        let ids: Vec<String> = part.iter().map(|model| model.object.id.to_string()).collect();
        let of = |table: &'static str, columns: [&'static str; 2]| {
            Query::select()
                .column("model")
                .columns(columns)
                .from(table)
                .and_where(Expr::col("model").is_in(ids.iter().map(String::as_str)))
                .order_by("model", Order::Asc)
                .order_by(columns[0], Order::Asc)
                .to_owned()
        };
        let reader = db.read(evidence);
        for row in reader.select(&of("registered_model_tag", ["key", "value"])).await? {
            let (id, tag) = (row.securable(0)?, Tag { key: row.text(1)?, value: row.text(2)? });
            part.iter_mut().filter(|model| model.object.id == id).for_each(|model| model.tags.push(tag.clone()));
        }
        for row in reader.select(&of("model_alias", ["alias", "version"])).await? {
            let (id, alias) = (row.securable(0)?, (row.text(1)?, row.int(2)?));
            part.iter_mut().filter(|model| model.object.id == id).for_each(|model| model.aliases.push(alias.clone()));
        }
    }
    Ok(models)
}
