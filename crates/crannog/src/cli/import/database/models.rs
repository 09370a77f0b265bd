//! Logged models, registered models, and where files are, of MLflow's database.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crannog_store::query::{Expr, ExprTrait, Order};
use crannog_tracking::model::experiments::Tag;
use crannog_tracking::model::imports::{Alias, LoggedModel, MadeBy, ModelPoint, ModelVersion};

use super::{Database, deleted};
use crate::cli::Failure;
use crate::cli::import::source::{FILES, FoundModel, Holders, Home, MODELS};

impl Database {
    /// The next logged models behind an id, with everything that is said of them.
    pub(in crate::cli::import) async fn models_behind(
        &mut self,
        last: Option<&str>,
    ) -> Result<Vec<LoggedModel>, Failure> {
        if !self.has("logged_models").await? {
            return Ok(Vec::new());
        }
        let columns = [
            "model_id",
            "experiment_id",
            "name",
            "model_type",
            "source_run_id",
            "status",
            "status_message",
            "lifecycle_stage",
            "creation_timestamp_ms",
            "last_updated_timestamp_ms",
        ];
        let mut select = self.select("logged_models", &columns).await?;
        if let Some(last) = last {
            select.and_where(Expr::col("model_id").gt(last));
        }
        select.order_by("model_id", Order::Asc).limit(MODELS as u64);
        let mut found = Vec::new();
        for row in self.rows(&select).await? {
            found.push(LoggedModel {
                model_id: row.text(0)?,
                experiment_id: row.int(1)?,
                name: row.text(2)?,
                model_type: row.opt_text(3)?.unwrap_or_default(),
                source_run_id: row.opt_text(4)?.unwrap_or_default(),
                status: crate::cli::import::source::status_of_model(row.int(5)?).to_owned(),
                status_message: row.opt_text(6)?,
                deleted: deleted(&row, 7)?,
                created_ms: row.int(8)?,
                updated_ms: row.int(9)?,
                params: Vec::new(),
                tags: Vec::new(),
                metrics: Vec::new(),
                used_by: Vec::new(),
                made_by: Vec::new(),
            });
        }
        self.said(&mut found).await?;
        Ok(found)
    }

    /// Reads what is said of models.
    async fn said(&mut self, models: &mut [LoggedModel]) -> Result<(), Failure> {
        let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
        let among = || ids.iter().map(String::as_str);
        let mut params = self.pairs("logged_model_params", "model_id", ["param_key", "param_value"], &ids).await?;
        let mut tags = self.pairs("logged_model_tags", "model_id", ["tag_key", "tag_value"], &ids).await?;
        let columns = [
            "model_id",
            "run_id",
            "metric_name",
            "metric_value",
            "metric_timestamp_ms",
            "metric_step",
            "dataset_name",
            "dataset_digest",
        ];
        let mut select = self.select("logged_model_metrics", &columns).await?;
        select.and_where(Expr::col("model_id").is_in(among()));
        let mut metrics: HashMap<String, Vec<ModelPoint>> = HashMap::new();
        for row in self.rows(&select).await? {
            metrics.entry(row.text(0)?).or_default().push(ModelPoint {
                run_id: row.text(1)?,
                key: row.text(2)?,
                value: row.opt_real(3)?,
                time_ms: row.int(4)?,
                step: row.int(5)?,
                dataset_name: row.opt_text(6)?.unwrap_or_default(),
                dataset_digest: row.opt_text(7)?.unwrap_or_default(),
            });
        }
        let mut select = self.select("inputs", &["destination_id", "source_id", "destination_type", "step"]).await?;
        select
            .and_where(Expr::col("destination_type").is_in(["MODEL_INPUT", "MODEL_OUTPUT"]))
            .and_where(Expr::col("destination_id").is_in(among()));
        let mut links: HashMap<String, (Vec<String>, Vec<MadeBy>)> = HashMap::new();
        for row in self.rows(&select).await? {
            let (used, made) = links.entry(row.text(0)?).or_default();
            let run_id = row.text(1)?;
            match row.text(2)?.as_str() {
                "MODEL_OUTPUT" => made.push(MadeBy { run_id, step: row.opt_int(3)?.unwrap_or_default() }),
                _ => used.push(run_id),
            }
        }
        for model in models {
            let id = model.model_id.as_str();
            model.params = params.remove(id).unwrap_or_default();
            model.tags = tags.remove(id).unwrap_or_default();
            model.metrics = metrics.remove(id).unwrap_or_default();
            (model.used_by, model.made_by) = links.remove(id).unwrap_or_default();
        }
        Ok(())
    }

    /// Where files are of the next runs or logged models behind an id.
    pub(in crate::cli::import) async fn homes_behind(
        &mut self,
        of: Holders,
        last: Option<&str>,
    ) -> Result<Vec<Home>, Failure> {
        let (table, id, address) = names(of);
        if !self.has(table).await? {
            return Ok(Vec::new());
        }
        let mut select = self.select(table, &[id, "experiment_id", address]).await?;
        if let Some(last) = last {
            select.and_where(Expr::col(id).gt(last));
        }
        select.order_by(id, Order::Asc).limit(FILES as u64);
        self.homes(&select).await
    }

    /// The same of some, by their ids.
    pub(in crate::cli::import) async fn homes_of(
        &mut self,
        of: Holders,
        ids: &BTreeSet<String>,
    ) -> Result<Vec<Home>, Failure> {
        let (table, id, address) = names(of);
        if ids.is_empty() || !self.has(table).await? {
            return Ok(Vec::new());
        }
        let mut select = self.select(table, &[id, "experiment_id", address]).await?;
        select.and_where(Expr::col(id).is_in(ids.iter().map(String::as_str)));
        self.homes(&select).await
    }

    async fn homes(&mut self, select: &crannog_store::query::SelectStatement) -> Result<Vec<Home>, Failure> {
        let mut found = Vec::new();
        for row in self.rows(select).await? {
            found.push(Home {
                id: row.text(0)?,
                experiment: row.opt_int(1)?.unwrap_or_default(),
                address: row.opt_text(2)?.unwrap_or_default(),
            });
        }
        Ok(found)
    }

    /// The names of the registered models, in order.
    pub(in crate::cli::import) async fn registered(&mut self) -> Result<Vec<String>, Failure> {
        if !self.has("registered_models").await? {
            return Ok(Vec::new());
        }
        let mut select = self.select("registered_models", &["name"]).await?;
        select.order_by("name", Order::Asc);
        Ok(self.rows(&select).await?.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?)
    }

    /// A registered model, with its versions by number.
    pub(in crate::cli::import) async fn registered_model(&mut self, name: &str) -> Result<FoundModel, Failure> {
        let columns = ["creation_time", "last_updated_time", "description"];
        let mut select = self.select("registered_models", &columns).await?;
        select.and_where(Expr::col("name").eq(name));
        let rows = self.rows(&select).await?;
        let row = rows.first().ok_or_else(|| Failure::new(format!("the registered model {name} is gone")))?;
        let created_ms = row.opt_int(0)?.unwrap_or_default();
        let one = [name.to_owned()];
        let tags = self.pairs("registered_model_tags", "name", ["key", "value"], &one).await?.remove(name);
        Ok(FoundModel {
            created_ms,
            updated_ms: row.opt_int(1)?.unwrap_or(created_ms),
            comment: row.opt_text(2)?.filter(|text| !text.is_empty()),
            tags: tags.unwrap_or_default(),
            aliases: self.aliases(name).await?,
            versions: self.versions(name).await?,
        })
    }

    async fn aliases(&mut self, name: &str) -> Result<Vec<Alias>, Failure> {
        if !self.has("registered_model_aliases").await? {
            return Ok(Vec::new());
        }
        let mut select = self.select("registered_model_aliases", &["alias", "version"]).await?;
        select.and_where(Expr::col("name").eq(name)).order_by("alias", Order::Asc);
        let rows = self.rows(&select).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.push(Alias { alias: row.text(0)?, version: row.int(1)? });
        }
        Ok(found)
    }

    async fn versions(&mut self, name: &str) -> Result<Vec<ModelVersion>, Failure> {
        let mut tags: BTreeMap<i64, Vec<Tag>> = BTreeMap::new();
        if self.has("model_version_tags").await? {
            let mut select = self.select("model_version_tags", &["version", "key", "value"]).await?;
            select.and_where(Expr::col("name").eq(name));
            for row in self.rows(&select).await? {
                let pair = Tag { key: row.text(1)?, value: row.opt_text(2)?.unwrap_or_default() };
                tags.entry(row.int(0)?).or_default().push(pair);
            }
        }
        let columns = [
            "version",
            "creation_time",
            "last_updated_time",
            "description",
            "user_id",
            "current_stage",
            "source",
            "run_id",
            "status",
            "status_message",
            "run_link",
            "storage_location",
        ];
        let mut select = self.select("model_versions", &columns).await?;
        select.and_where(Expr::col("name").eq(name)).order_by("version", Order::Asc);
        let mut found = Vec::new();
        for row in self.rows(&select).await? {
            let (version, created_ms) = (row.int(0)?, row.opt_int(1)?.unwrap_or_default());
            let stage = row.opt_text(5)?.unwrap_or_else(|| "None".to_owned());
            if stage == "Deleted_Internal" {
                continue;
            }
            let address = row.opt_text(6)?.unwrap_or_default();
            let stored = row.opt_text(11)?.filter(|text| !text.is_empty());
            let run_id = row.opt_text(7)?.filter(|text| !text.is_empty());
            found.push(ModelVersion {
                version,
                status: row.opt_text(8)?.unwrap_or_else(|| "READY".to_owned()),
                status_message: row.opt_text(9)?,
                stage,
                source: address.clone(),
                location: Some(stored.unwrap_or(address)),
                files_of: None,
                folder: String::new(),
                run_id,
                run_link: row.opt_text(10)?,
                model_id: None,
                comment: row.opt_text(3)?,
                user_id: row.opt_text(4)?,
                created_ms,
                updated_ms: row.opt_int(2)?.unwrap_or(created_ms),
                tags: tags.remove(&version).unwrap_or_default(),
            });
        }
        Ok(found)
    }
}

/// The table of whoever has files, its key, and the column that says where they are.
fn names(of: Holders) -> (&'static str, &'static str, &'static str) {
    match of {
        Holders::Runs => ("runs", "run_uuid", "artifact_uri"),
        Holders::Models => ("logged_models", "model_id", "artifact_location"),
    }
}
