//! What SCIM's routes share: the shapes of the wire, lists, attributes.
//!
//! Field names and shapes are those of databricks-sdk's `service/iam.py`. Unknown fields are let through, and those that
//! only Databricks has (entitlements, roles) are read and not kept.

use crannog_kit::{Answer, Output, Reply, ReplyBody, StatusCode};
use crannog_types::{PrincipalId, Problem, Result};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::filters::Filter;
use crate::model::principals::{Principal, PrincipalKind};
use crate::service::principals::Membership;

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const SERVICE_PRINCIPAL: &str = "urn:ietf:params:scim:schemas:core:2.0:ServicePrincipal";

/// The media type of SCIM (RFC 7644, section 3.1).
const SCIM_JSON: &str = "application/scim+json";

/// What making something answers.
pub(super) const MADE: &[Answer] = &[Answer::of(201, SCIM_JSON, "it was made")];

/// An answer in SCIM's JSON.
pub(super) struct Scim<T> {
    status: StatusCode,
    body: T,
}

impl<T> Scim<T> {
    pub(super) fn ok(body: T) -> Self {
        Scim { status: StatusCode::OK, body }
    }

    pub(super) fn created(body: T) -> Self {
        Scim { status: StatusCode::CREATED, body }
    }
}

impl<T: Serialize> From<Scim<T>> for Reply {
    fn from(answer: Scim<T>) -> Self {
        let body = serde_json::to_value(answer.body).unwrap_or_default();
        Reply::new(answer.status, ReplyBody::Json(body)).header("content-type", SCIM_JSON)
    }
}

impl<T: Serialize + JsonSchema + Send + 'static> Output for Scim<T> {
    const ANSWER: Answer = Answer::of(200, SCIM_JSON, "done");

    fn schema(generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<T>())
    }
}

/// A value of a list: a member, a group, an e-mail address.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
pub(super) struct Complex {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) display: Option<String>,
    #[serde(default, rename = "$ref", skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) primary: Option<bool>,
}

impl Complex {
    /// A line of a membership as a user's `groups` or a group's `members` show it.
    pub(super) fn of(membership: &Membership, with_type: bool) -> Self {
        let folder = match membership.kind {
            PrincipalKind::User => "Users",
            PrincipalKind::Group => "Groups",
            PrincipalKind::ServicePrincipal => "ServicePrincipals",
        };
        Complex {
            value: Some(membership.other.to_string()),
            display: Some(membership.shown.clone()),
            reference: Some(format!("{folder}/{}", membership.other)),
            kind: with_type.then(|| if membership.direct { "direct" } else { "indirect" }.to_owned()),
            primary: None,
        }
    }
}

/// A person's name in parts. `formatted` is made of the parts; where it is all that is sent, it is taken as a display name.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Name {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) formatted: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) given_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) family_name: Option<String>,
}

impl Name {
    /// All of it in one text.
    pub(super) fn whole(&self) -> Option<String> {
        let parts: Vec<&str> = [&self.given_name, &self.family_name]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        if parts.is_empty() { self.formatted.clone().filter(|whole| !whole.is_empty()) } else { Some(parts.join(" ")) }
    }

    /// The name of a user: the parts that were given, else those of a display name of several words, as Databricks has it.
    pub(super) fn of(user: &Principal) -> Option<Name> {
        let known = |part: &Option<String>| part.clone().filter(|part| !part.is_empty());
        let (mut given_name, mut family_name) = (known(&user.given_name), known(&user.family_name));
        if given_name.is_none() && family_name.is_none() {
            let (given, family) = user.display_name.as_deref()?.rsplit_once(' ')?;
            (given_name, family_name) = (Some(given.to_owned()), Some(family.to_owned()));
        }
        let mut name = Name { formatted: None, given_name, family_name };
        name.formatted = name.whole();
        Some(name)
    }
}

/// What resources say of themselves.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meta {
    pub(super) resource_type: &'static str,
    pub(super) created: String,
    pub(super) last_modified: String,
    pub(super) location: String,
}

impl Meta {
    pub(super) fn of(principal: &Principal, resource_type: &'static str, folder: &str) -> Self {
        Meta {
            resource_type,
            created: principal.created_at.to_string(),
            last_modified: principal.updated_at.to_string(),
            location: format!("/api/2.0/preview/scim/v2/{folder}/{}", principal.id),
        }
    }
}

/// What is asked of a list.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListIn {
    /// Attributes to give; all, when left out. `id` is always given.
    attributes: Option<String>,
    /// Attributes to leave out.
    excluded_attributes: Option<String>,
    /// A filter by RFC 7644.
    filter: Option<String>,
    /// The first resource of the page, from 1.
    #[schemars(range(min = 1))]
    start_index: Option<i64>,
    /// How many resources at most.
    #[schemars(range(min = 0))]
    count: Option<i64>,
    /// The attribute to sort by.
    sort_by: Option<String>,
    /// `ascending` or `descending`.
    sort_order: Option<String>,
}

/// A page of resources.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListOut {
    schemas: [&'static str; 1],
    /// How many there are in all.
    total_results: usize,
    /// The place of the first one here, from 1.
    start_index: usize,
    /// How many are here.
    items_per_page: usize,
    #[serde(rename = "Resources")]
    resources: Vec<Value>,
}

/// Which attributes an answer has.
pub(super) struct Attributes {
    only: Vec<String>,
    without: Vec<String>,
    filter: Option<Filter>,
}

impl ListIn {
    pub(super) fn attributes(&self) -> Result<Attributes> {
        let words = |text: &Option<String>| -> Vec<String> {
            let words = text.iter().flat_map(|text| text.split(',')).map(|word| {
                let word = word.trim();
                word.rsplit(':').next().unwrap_or(word).split('.').next().unwrap_or(word).to_ascii_lowercase()
            });
            words.filter(|word| !word.is_empty()).collect()
        };
        let filter = match self.filter.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(text) => Some(Filter::parse(text)?),
        };
        Ok(Attributes { only: words(&self.attributes), without: words(&self.excluded_attributes), filter })
    }

    /// Filters, sorts and cuts.
    pub(super) fn page<T: Serialize>(&self, attributes: &Attributes, all: Vec<T>) -> Result<ListOut> {
        let mut found = Vec::with_capacity(all.len());
        for resource in all {
            let value =
                serde_json::to_value(resource).map_err(|error| Problem::internal("a resource failed", error))?;
            if attributes.filter.as_ref().is_none_or(|filter| filter.accepts(&value)) {
                found.push(value);
            }
        }
        if let Some(by) = &self.sort_by {
            let key = |value: &Value| {
                let object = value.as_object();
                let found = object.and_then(|object| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(by)));
                found.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_lowercase))
            };
            found.sort_by_cached_key(key);
        }
        if self.sort_order.as_deref().is_some_and(|order| order.eq_ignore_ascii_case("descending")) {
            found.reverse();
        }
        let total_results = found.len();
        let start = usize::try_from(self.start_index.unwrap_or(1).max(1)).unwrap_or(usize::MAX);
        let count = self.count.map_or(usize::MAX, |count| usize::try_from(count).unwrap_or(0));
        let mut resources: Vec<Value> = found.into_iter().skip(start - 1).take(count).collect();
        for resource in &mut resources {
            attributes.cut(resource);
        }
        let items_per_page = resources.len();
        let schemas = ["urn:ietf:params:scim:api:messages:2.0:ListResponse"];
        Ok(ListOut { schemas, total_results, start_index: start, items_per_page, resources })
    }
}

impl Attributes {
    /// Whether an attribute is needed, for the answer or for the filter.
    pub(super) fn need(&self, attribute: &str) -> bool {
        self.gives(attribute) || self.filter.as_ref().is_some_and(|filter| filter.mentions(attribute))
    }

    fn gives(&self, attribute: &str) -> bool {
        let is = |word: &String| word.eq_ignore_ascii_case(attribute);
        (self.only.is_empty() || self.only.iter().any(is)) && !self.without.iter().any(is)
    }

    fn cut(&self, resource: &mut Value) {
        if let Value::Object(object) = resource {
            object.retain(|name, _| ["id", "schemas"].contains(&name.as_str()) || self.gives(name));
        }
    }
}

/// One resource by its id.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct IdIn {
    /// The decimal id.
    pub(super) id: String,
}

/// Ids of members or groups.
pub(super) fn ids(list: &[Complex]) -> Result<Vec<PrincipalId>> {
    list.iter()
        .map(|one| {
            let text = one.value.as_deref().unwrap_or_default();
            text.parse()
                .map_err(|_| Problem::invalid(format!("{text:?} is not the id of a user, group or service principal")))
        })
        .collect()
}
