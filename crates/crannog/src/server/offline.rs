//! What the machine's owner can do without a server's consent: a token for the administrator.

use std::collections::BTreeMap;
use std::path::Path;

use crannog_identity::{Identity, IdentityConfig, Secret};

use super::folder::DataFolder;
use super::root_key;
use crate::cli::{Environment, Failure, configuration};

/// A new token of the administrator, written through the database; `admin.token` then holds it too.
pub(crate) async fn admin_token(
    data: &Path,
    config: Option<&Path>,
    environment: &Environment,
) -> Result<Secret, Failure> {
    let folder = DataFolder::beside(data)?;
    // What concerns listening does not matter here.
    let given = [("data", data.display().to_string()), ("allow_plain_http", "true".to_owned())];
    let given: BTreeMap<String, String> = given.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let config = configuration(config.map(Path::to_owned), &given, environment)?;
    if config.database_url.is_none() && !folder.path().join("meta.db").is_file() {
        return Err(Failure::new(format!(
            "{} holds no metadata: its server keeps them in PostgreSQL; name the server's configuration with --config",
            folder.path().display()
        )));
    }
    let db = super::open_database(&config, &folder).await?;
    let root_key_file = root_key::place(config.root_key_file.as_deref(), &folder, false)?.file;
    let identity = Identity::open(db.clone(), IdentityConfig { root_key_file }).await?;
    let token = identity.create_admin_token().await?;
    folder.write_private("admin.token", &format!("{}\n", token.reveal()))?;
    db.close().await;
    Ok(token)
}
