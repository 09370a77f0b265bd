//! Searches over models and versions: of all schemas, as far as the caller may see, cut inside the query.

use crannog_governance::model::objects::{Model as Governed, Object};
use crannog_security::actions::{metastore, models};
use crannog_security::{Caller, Decision, Kind, Permit, Reference, Rule, ScopeOf, Visible};
use crannog_store::{Db, Row, params};
use crannog_types::{FullName, Result, SecurableId};

use super::versions::{latest_of, read};
use super::{models as verbs, versions};
use crate::model::registry::{Model, Version};
use crate::model::search::{Entity, Filter, Order, model_versions_order, registered_models_order};
use crate::service::Asked;
use crate::sql::search_registry::{RegistrySearch, search_models, search_versions};

/// The schemas that have models of which the caller may see some.
pub async fn schemas(
    db: &Db,
    caller: &Caller,
    permit: &Permit<metastore::Read>,
) -> Result<Vec<Visible<models::ReadMetadata>>> {
    let with_models = "SELECT DISTINCT p.path FROM securable s JOIN securable p ON p.id = s.parent \
                       WHERE s.kind = 'registered_model' ORDER BY p.path";
    let mut seen = Vec::new();
    for row in db.read(permit).rows(with_models, params![]).await? {
        let name = FullName::of(row.text(0)?.split('.'));
        // Nobody asked for this schema: that it is not seen is nothing for the audit.
        let about = Reference::Named(Kind::Schema, name.clone());
        if let (_, Decision::Allowed(_)) = caller.explain(Rule::Visible, &about).await?
            && let Ok(visible) = caller.visible(ScopeOf::under(name)).await
        {
            seen.push(visible);
        }
    }
    Ok(seen)
}

fn object(row: &Row) -> Result<Object> {
    Ok(Object {
        id: row.securable(0)?,
        name: FullName::of([row.text(1)?, row.text(2)?, row.text(3)?]),
        owner_id: row.principal(4)?,
        owner: row.text(5)?,
        comment: row.opt_text(6)?,
        created_at: row.micros(7)?,
        created_by: row.text(8)?,
        updated_at: row.micros(9)?,
        updated_by: row.text(10)?,
    })
}

/// What is asked, taken apart: what is wrong with the filter is said before what is wrong with the order.
fn wanted<'a>(
    schemas: &'a [Visible<models::ReadMetadata>],
    entity: Entity,
    order: fn(&[String]) -> Result<Vec<Order>>,
    asked: &Asked<'_>,
) -> Result<RegistrySearch<'a>> {
    let (prompts, filter) = Filter::parse(entity, asked.filter)?.prompts();
    let order = order(asked.order_by)?;
    Ok(RegistrySearch { schemas, prompts, filter, order, max_results: asked.max_results, page: asked.page()? })
}

/// A page of models, and the token of the next.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn find_models(
    db: &Db,
    schemas: &[Visible<models::ReadMetadata>],
    asked: &Asked<'_>,
) -> Result<(Vec<Model>, Option<String>)> {
    let wanted = wanted(schemas, Entity::RegisteredModels, registered_models_order, asked)?;
    let Some(evidence) = schemas.first() else { return Ok((Vec::new(), None)) };
    let page = search_models(db, &wanted, |row| Ok(Governed { object: object(row)? })).await?;
    let next = page.next.map(|next| next.encode());
    Ok((verbs::with_data(db, evidence, page.found).await?, next))
}

/// A page of versions, and the token of the next.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn find_versions(
    db: &Db,
    schemas: &[Visible<models::ReadMetadata>],
    asked: &Asked<'_>,
) -> Result<(Vec<Version>, Option<String>)> {
    let wanted = wanted(schemas, Entity::ModelVersions, model_versions_order, asked)?;
    let Some(evidence) = schemas.first() else { return Ok((Vec::new(), None)) };
    let page = search_versions(db, &wanted, |row| {
        let at = versions::COLUMNS.len();
        let name = FullName::of([row.text(at)?, row.text(at + 1)?, row.text(at + 2)?]);
        Ok((row.securable(0)?, read(row, name)?))
    })
    .await?;
    let next = page.next.map(|next| next.encode());
    Ok((versions::with_data(db, evidence, page.found).await?, next))
}

/// The last version of each of some models in each stage.
pub async fn latest(db: &Db, schemas: &[Visible<models::ReadMetadata>], found: &[Model]) -> Result<Vec<Version>> {
    let Some(evidence) = schemas.first() else { return Ok(Vec::new()) };
    let of: Vec<(SecurableId, FullName)> =
        found.iter().map(|model| (model.object.id, model.object.name.clone())).collect();
    latest_of(db, evidence, of).await
}
