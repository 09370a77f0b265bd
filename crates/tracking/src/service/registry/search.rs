//! Searches over models and versions: of all schemas, as far as the caller may see, cut inside the query.

use std::collections::HashMap;

use crannog_governance::model::objects::{Model as Governed, Object};
use crannog_security::actions::{metastore, models};
use crannog_security::{Caller, Decision, Evidence, Kind, Permit, Reference, Rule, ScopeOf, Visible};
use crannog_store::{Db, Row, params};
use crannog_types::{FullName, Result};

use super::versions::{latest_of, read};
use super::{models as verbs, versions};
use crate::model::experiments::Tag;
use crate::model::registry::{Model, Version};
use crate::model::search::{Entity, Filter, Order, model_versions_order, registered_models_order};
use crate::service::Asked;
use crate::service::runs::PAGE_BYTES;
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

/// So many are read at first, when nobody knows how large they are.
const FIRST_READ: usize = 100;

/// So many are read at once at the most.
const MOST_READ: usize = 10_000;

/// How much of a page is there.
struct Filled {
    wanted: usize,
    found: usize,
    bytes: usize,
}

impl Filled {
    fn of(max_results: i64) -> Self {
        Filled { wanted: usize::try_from(max_results).unwrap_or(usize::MAX), found: 0, bytes: 0 }
    }

    /// How many to read next: as many as those before let expect to fit.
    fn next_read(&self) -> i64 {
        let fit = match self.found {
            0 => FIRST_READ,
            found => (PAGE_BYTES.saturating_sub(self.bytes) / (self.bytes / found).max(1)).clamp(FIRST_READ, MOST_READ),
        };
        i64::try_from(fit.min(self.wanted - self.found)).unwrap_or(i64::MAX)
    }

    /// Takes some of these sizes, and says how many: those up to the one that fills the page.
    fn take(&mut self, sizes: impl Iterator<Item = usize>) -> usize {
        let before = self.found;
        for size in sizes {
            self.found += 1;
            self.bytes = self.bytes.saturating_add(size);
            if self.is_full() {
                break;
            }
        }
        self.found - before
    }

    fn is_full(&self) -> bool {
        self.found >= self.wanted || self.bytes >= PAGE_BYTES
    }
}

/// About how many bytes some texts are to whoever gets them.
fn size_of<'t>(texts: impl Iterator<Item = &'t str>, tags: &'t [Tag]) -> usize {
    let tags = tags.iter().flat_map(|tag| [tag.key.as_str(), tag.value.as_str()]);
    texts.chain(tags).map(|text| 32 + text.len()).sum()
}

fn size_of_model(model: &Model) -> usize {
    let aliases = model.aliases.iter().map(|(alias, _)| alias.as_str());
    size_of(aliases.chain(model.object.comment.as_deref()), &model.tags)
}

fn size_of_version(version: &Version) -> usize {
    let said = [&version.location, &version.run_link, &version.comment, &version.status_message];
    let said = said.into_iter().filter_map(Option::as_deref).chain([version.source.as_str()]);
    size_of(said.chain(version.aliases.iter().map(String::as_str)), &version.tags)
}

/// A page of models, and the token of the next. A page may end before it is full: with the model that makes it larger than 32 MiB.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn find_models(
    db: &Db,
    schemas: &[Visible<models::ReadMetadata>],
    asked: &Asked<'_>,
) -> Result<(Vec<Model>, Option<String>)> {
    let (found, next) = page_of_models(db, schemas, asked, false).await?;
    Ok((found.into_iter().map(|(model, _)| model).collect(), next))
}

/// [`find_models`], each with its last version in each stage, by the stages' names. The versions count for the page's size, too.
///
/// # Errors
/// The same.
pub async fn find_models_with_latest(
    db: &Db,
    schemas: &[Visible<models::ReadMetadata>],
    asked: &Asked<'_>,
) -> Result<(Vec<(Model, Vec<Version>)>, Option<String>)> {
    page_of_models(db, schemas, asked, true).await
}

async fn page_of_models(
    db: &Db,
    schemas: &[Visible<models::ReadMetadata>],
    asked: &Asked<'_>,
    with_latest: bool,
) -> Result<(Vec<(Model, Vec<Version>)>, Option<String>)> {
    let mut wanted = wanted(schemas, Entity::RegisteredModels, registered_models_order, asked)?;
    let Some(evidence) = schemas.first() else { return Ok((Vec::new(), None)) };
    let (mut found, mut filled) = (Vec::new(), Filled::of(asked.max_results));
    loop {
        wanted.max_results = filled.next_read();
        let mut page = search_models(db, &wanted, |row| Ok(Governed { object: object(row)? })).await?;
        let part = verbs::with_data(db, evidence, std::mem::take(&mut page.found)).await?;
        let mut latest = if with_latest { latest(db, evidence, &part).await? } else { HashMap::new() };
        let with_its_own = |model: Model| {
            let versions = latest.remove(&model.object.name).unwrap_or_default();
            (model, versions)
        };
        let mut part: Vec<(Model, Vec<Version>)> = part.into_iter().map(with_its_own).collect();
        let size = |(model, latest): &(Model, Vec<Version>)| {
            size_of_model(model) + latest.iter().map(size_of_version).sum::<usize>()
        };
        part.truncate(filled.take(part.iter().map(size)));
        wanted.page = page.cut(part.len())?;
        found.append(&mut part);
        if filled.is_full() || wanted.page.is_none() {
            return Ok((found, wanted.page.map(|next| next.encode())));
        }
    }
}

/// A page of versions, and the token of the next. A page may end before it is full: with the version that makes it larger than
/// 32 MiB.
///
/// # Errors
/// What is wrong with the filter, the order, the token.
pub async fn find_versions(
    db: &Db,
    schemas: &[Visible<models::ReadMetadata>],
    asked: &Asked<'_>,
) -> Result<(Vec<Version>, Option<String>)> {
    let mut wanted = wanted(schemas, Entity::ModelVersions, model_versions_order, asked)?;
    let Some(evidence) = schemas.first() else { return Ok((Vec::new(), None)) };
    let (mut found, mut filled) = (Vec::new(), Filled::of(asked.max_results));
    let read_named = |row: &Row| {
        let at = versions::COLUMNS.len();
        let name = FullName::of([row.text(at)?, row.text(at + 1)?, row.text(at + 2)?]);
        Ok((row.securable(0)?, read(row, name)?))
    };
    loop {
        wanted.max_results = filled.next_read();
        let mut page = search_versions(db, &wanted, read_named).await?;
        let mut part = versions::with_data(db, evidence, std::mem::take(&mut page.found)).await?;
        part.truncate(filled.take(part.iter().map(size_of_version)));
        wanted.page = page.cut(part.len())?;
        found.append(&mut part);
        if filled.is_full() || wanted.page.is_none() {
            return Ok((found, wanted.page.map(|next| next.encode())));
        }
    }
}

/// The last version of each of some models in each stage, by the stages' names.
async fn latest(db: &Db, evidence: &dyn Evidence, found: &[Model]) -> Result<HashMap<FullName, Vec<Version>>> {
    let of = found.iter().map(|model| (model.object.id, model.object.name.clone())).collect();
    let mut latest: HashMap<FullName, Vec<Version>> = HashMap::new();
    for version in latest_of(db, evidence, of).await? {
        latest.entry(version.model.clone()).or_default().push(version);
    }
    latest.values_mut().for_each(|versions| versions.sort_by(|a, b| a.stage.cmp(&b.stage)));
    Ok(latest)
}
