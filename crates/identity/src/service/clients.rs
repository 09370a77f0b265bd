//! OAuth client secrets of service principals. At most five each, good for two years unless told otherwise.

use crannog_security::Permit;
use crannog_security::actions::metastore;
use crannog_store::{Audit, Row, params};
use crannog_types::{Micros, Problem, Result};
use uuid::Uuid;

use crate::Identity;
use crate::errors::IdentityError;
use crate::model::credentials::{CredentialKind, Secret};
use crate::model::principals::PrincipalKind;
use crate::service::principals::{end_sessions, in_transaction};

const MOST: i64 = 5;
/// Databricks' default: 730 days.
const LIFETIME: i64 = 730 * 24 * 3_600;

/// A client secret without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its id.
    pub id: String,
    /// SHA-256 of it, in hexadecimal.
    pub hash: String,
    /// When it was made.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Micros,
}

fn read(row: &Row) -> Result<ClientSecret, Problem> {
    Ok(ClientSecret { id: row.text(0)?, hash: row.text(1)?, created_at: row.micros(2)?, expires_at: row.micros(3)? })
}

impl Identity {
    /// A new client secret of a service principal.
    pub async fn create_client_secret(
        &self,
        permit: &Permit<metastore::Administer>,
        service_principal: &str,
        lifetime_seconds: Option<i64>,
    ) -> Result<(Secret, ClientSecret)> {
        let owner = self.program(permit, service_principal).await?;
        let lifetime = lifetime_seconds.unwrap_or(LIFETIME);
        if !(1..=LIFETIME).contains(&lifetime) {
            return Err(Problem::invalid(format!("a lifetime of {lifetime} s is not between 1 s and {LIFETIME} s")));
        }
        let audit =
            Audit::of("accounts", "createServicePrincipalSecret").with("targetServicePrincipalName", owner.name);
        let mut tx = self.db.write(permit, audit).await?;
        let owner = owner.id;
        let count = "SELECT count(*) FROM oauth_secret WHERE principal = $1 AND expires_at > $2";
        let count = tx.row(count, params![owner, tx.now()]).await?.map(|row| row.int(0)).transpose()?;
        if count.unwrap_or(0) >= MOST {
            return Err(IdentityError::Limit(format!("a service principal has at most {MOST} client secrets")).into());
        }
        let secret = Secret::new(CredentialKind::Client)?;
        let made = ClientSecret {
            id: Uuid::now_v7().to_string(),
            hash: secret.hash(),
            created_at: tx.now(),
            expires_at: tx.now().plus_seconds(lifetime),
        };
        let sql = "INSERT INTO oauth_secret (id, principal, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
        tx.run(sql, params![made.id.clone(), owner, made.hash.clone(), made.created_at, made.expires_at]).await?;
        tx.commit().await?;
        Ok((secret, made))
    }

    /// The client secrets of a service principal.
    pub async fn client_secrets(
        &self,
        permit: &Permit<metastore::Administer>,
        service_principal: &str,
    ) -> Result<Vec<ClientSecret>> {
        let owner = self.program(permit, service_principal).await?;
        let sql = "SELECT id, hash, created_at, expires_at FROM oauth_secret WHERE principal = $1 ORDER BY id";
        self.db.read(permit).rows(sql, params![owner.id]).await?.iter().map(read).collect()
    }

    /// Deletes a client secret, and ends the access tokens of its service principal: they may have come from it.
    pub async fn delete_client_secret(
        &self,
        permit: &Permit<metastore::Administer>,
        service_principal: &str,
        id: &str,
    ) -> Result<()> {
        let owner = self.program(permit, service_principal).await?;
        let audit = Audit::of("accounts", "deleteServicePrincipalSecret")
            .with("targetServicePrincipalName", owner.name)
            .with("secretId", id);
        let mut tx = self.db.write(permit, audit).await?;
        if tx.run("DELETE FROM oauth_secret WHERE id = $1 AND principal = $2", params![id, owner.id]).await? == 0 {
            return Err(IdentityError::NoClientSecret(id.to_owned()).into());
        }
        end_sessions(&mut tx, owner.id).await?;
        Ok(tx.commit().await?)
    }

    async fn program(&self, permit: &Permit<metastore::Administer>, id: &str) -> Result<crate::Principal> {
        let none =
            || IdentityError::NoPrincipal { kind: PrincipalKind::ServicePrincipal.describe(), what: id.to_owned() };
        let number = id.parse().map_err(|_| none())?;
        let found = self.principal_of_id(permit, number).await?;
        Ok(found.filter(|found| found.kind == PrincipalKind::ServicePrincipal).ok_or_else(none)?)
    }

    /// A new one-time set-up code, with which somebody sets their own password at `/setup?code=…`.
    pub async fn create_setup_code(
        &self,
        permit: &Permit<metastore::Administer>,
        user: &crate::Principal,
    ) -> Result<Secret> {
        let audit = Audit::of("accounts", "createSetupCode").with("targetUserName", user.name.as_str());
        let mut tx = self.db.write(permit, audit).await?;
        let user = in_transaction(&mut tx, user.id, Some(PrincipalKind::User)).await?;
        let code = crate::service::bootstrap::insert_setup_code(&mut tx, user.id).await?;
        tx.commit().await?;
        Ok(code)
    }
}
