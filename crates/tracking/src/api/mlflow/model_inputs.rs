//! What both doors of the registry are asked in the same words: MLflow's plain registry and Unity Catalog's.
//!
//! Names are read by each door as its clients write them: `registry` finds one part in `main.default`, `unity_catalog` wants three.

use crannog_types::Micros;

use super::inputs::inputs;
use super::wire::{TagIn, tags};
use crate::service::registry::aliases::Terms;
use crate::service::registry::models::NewModel;

inputs! {
    /// A model that is wanted.
    pub(super) struct CreateRegisteredModelIn {
        /// Its name: `catalog.schema.model`; in the plain registry, one part is a model of `main.default`.
        name: String = required,
        /// Its tags.
        tags: Vec<TagIn>,
        /// What it is for.
        description: String,
    }
    /// Which model.
    pub(super) struct RegisteredModelIn {
        /// The model's name.
        name: String = required,
    }
    /// A tag of a model.
    pub(super) struct RegisteredModelTagIn {
        /// The model's name.
        name: String = required,
        /// The tag's key.
        key: String = required,
        /// Its value, of up to 100,000 characters.
        value: String,
    }
    /// Which tag of a model.
    pub(super) struct RegisteredModelTagKeyIn {
        /// The model's name.
        name: String = required,
        /// The tag's key.
        key: String = required,
    }
    /// Where an alias is to point.
    pub(super) struct SetRegisteredModelAliasIn {
        /// The model's name.
        name: String = required,
        /// The alias: letters, digits, `_` and `-`.
        alias: String = required,
        /// The version's number.
        version: String = required,
        /// The version that it has to point at before, else nothing is changed; 0: it must point at none.
        #[schemars(range(min = 0))]
        expected_version: Option<i64>,
        /// Why, for its history.
        reason: Option<String>,
    }
    /// Which alias is to go.
    pub(super) struct DeleteRegisteredModelAliasIn {
        /// The model's name.
        name: String = required,
        /// The alias.
        alias: String = required,
        /// The version that it has to point at before, else nothing is changed.
        #[schemars(range(min = 0))]
        expected_version: Option<i64>,
        /// Why, for its history.
        reason: Option<String>,
    }
    /// Which alias, and when.
    pub(super) struct RegisteredModelAliasIn {
        /// The model's name.
        name: String = required,
        /// The alias; in the plain registry, `latest` is the last version.
        alias: String = required,
        /// What it pointed at then, in milliseconds since 1970; left out: what it points at.
        #[schemars(range(min = 0))]
        as_of: Option<i64>,
    }
    /// Which version.
    pub(super) struct ModelVersionIn {
        /// The model's name.
        name: String = required,
        /// The version's number.
        version: String = required,
    }
    /// What is to change of a version.
    pub(super) struct UpdateModelVersionIn {
        /// The model's name.
        name: String = required,
        /// The version's number.
        version: String = required,
        /// What it is; left out: nothing is said of it.
        description: Option<String>,
    }
    /// A tag of a version.
    pub(super) struct ModelVersionTagIn {
        /// The model's name.
        name: String = required,
        /// The version's number.
        version: String = required,
        /// The tag's key.
        key: String = required,
        /// Its value, of up to 100,000 characters.
        value: String,
    }
    /// Which tag of a version.
    pub(super) struct ModelVersionTagKeyIn {
        /// The model's name.
        name: String = required,
        /// The version's number.
        version: String = required,
        /// The tag's key.
        key: String = required,
    }
}

impl CreateRegisteredModelIn {
    /// The model, under the last part of its name.
    pub(super) fn new_model(self, name: String) -> NewModel {
        let comment = Some(self.description).filter(|comment| !comment.is_empty());
        NewModel { name, comment, tags: tags(self.tags) }
    }
}

impl RegisteredModelAliasIn {
    /// The time that is asked about; none: now.
    pub(super) fn time(&self) -> Option<Micros> {
        self.as_of.map(|millis| Micros(millis.saturating_mul(1000)))
    }
}

/// What is said with the move of an alias; version 0 stands for none.
pub(super) fn terms(expected: Option<i64>, reason: Option<String>) -> Terms {
    Terms { expected: expected.map(|version| Some(version).filter(|version| *version != 0)), reason }
}
