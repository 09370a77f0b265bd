//! Finds out who a credential belongs to.
//!
//! A token that was seen before is one hash and one look into memory. What is kept there is stamped with the database's
//! version, which revoking a token or deactivating a principal moves, so both hold at the next request. Wrong credentials
//! are counted, and every reason for a no reads the same.
//!
//! It must never refuse a right token because of failures that somebody else caused.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};

use crannog_kit::{Authenticate, Credentials, InForce};
use crannog_security::{System, Task, Who};
use crannog_store::{Audit, AuditEvent, params};
use crannog_types::{Micros, Result, fold};

use crate::Identity;
use crate::errors::IdentityError;
use crate::model::credentials::{self, CredentialKind, Hash, hex};
use crate::model::limiter::Suspect;

/// Tokens that are kept in memory; a full cache is emptied, which costs one read each.
const KEPT: usize = 100_000;

/// Who tokens belong to, as of one version of the database.
#[derive(Default)]
pub(crate) struct TokenCache(RwLock<Kept>);

#[derive(Default)]
struct Kept {
    version: u64,
    tokens: HashMap<Hash, (Who, Option<Micros>)>,
}

impl TokenCache {
    fn get(&self, version: u64, hash: &Hash) -> Option<(Who, Option<Micros>)> {
        let kept = self.0.read().unwrap_or_else(PoisonError::into_inner);
        (kept.version == version).then(|| kept.tokens.get(hash).cloned()).flatten()
    }

    fn put(&self, version: u64, hash: Hash, found: (Who, Option<Micros>)) {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.version < version || kept.tokens.len() >= KEPT {
            kept.tokens.clear();
        }
        if kept.version <= version {
            kept.version = version;
            kept.tokens.insert(hash, found);
        }
    }
}

/// That the owner `p` of a token `t` may use tokens of its kind.
macro_rules! may_be_used {
    () => {
        "(t.kind = 'oauth' OR EXISTS (SELECT 1 FROM authorization_grant a JOIN closure c ON c.principal = a.principal \
         WHERE c.member = p.id AND a.way = CASE t.kind WHEN 'personal' THEN 'tokens' ELSE 'passwords' END))"
    };
}

const OWNER: &str = concat!(
    "SELECT p.id, p.name, t.expires_at FROM token t JOIN principal p ON p.id = t.principal \
     WHERE t.hash = $1 AND t.kind = $2 AND p.active = 1 AND ",
    may_be_used!()
);

/// A token that may not be used any more counts as gone; so does a password, and one that was changed.
const STATE: &str = concat!(
    "SELECT p.active, t.hash, t.expires_at, (SELECT count(*) FROM authorization_grant a JOIN closure c \
     ON c.principal = a.principal WHERE c.member = p.id AND a.way = 'passwords'), \
     (SELECT w.hash FROM password w WHERE w.principal = p.id) FROM principal p LEFT JOIN token t ON t.principal = p.id AND t.hash = $1 AND ",
    may_be_used!(),
    " WHERE p.id = $2"
);

impl Identity {
    /// The owner of a token of one of these kinds that is in force.
    pub(crate) async fn owner_of_token(&self, text: &str, kinds: &[CredentialKind]) -> Result<Option<Who>> {
        let Some((kind, hash)) = credentials::read(text).filter(|(kind, _)| kinds.contains(kind)) else {
            return Ok(None);
        };
        let in_force = |(who, expires): (Who, Option<Micros>)| {
            expires.is_none_or(|expires| expires > self.db.now()).then_some(who)
        };
        let mut version = self.db.version().await?;
        loop {
            if let Some(found) = self.tokens.get(version, &hash) {
                return Ok(in_force(found));
            }
            let row = self.db.read(&authenticate_task()).row(OWNER, params![hex(&hash), kind.word()]).await?;
            let after = self.db.version().await?;
            if after != version {
                version = after;
                continue;
            }
            let Some(row) = row else { return Ok(None) };
            let who = Who { id: row.principal(0)?, name: row.text(1)?.into() };
            let found = (who, row.opt_int(2)?.map(Micros));
            self.tokens.put(version, hash, found.clone());
            return Ok(in_force(found));
        }
    }

    /// The person of a name and a password.
    ///
    /// # Errors
    /// The same for every reason; after too many failures of the account or the address, how long to wait.
    pub(crate) async fn by_password(&self, name: &str, password: &str, source_ip: Option<&str>) -> Result<Who> {
        let folded = fold(name);
        let account = Suspect::Account(folded.clone());
        let suspects = [Some(account.clone()), source_ip.map(address)];
        self.wait_for(&suspects)?;
        let sql = "SELECT p.id, p.name, w.hash FROM principal p JOIN password w ON w.principal = p.id \
             WHERE p.folded = $1 AND p.active = 1 AND p.kind = 'user' AND EXISTS (SELECT 1 FROM authorization_grant a \
             JOIN closure c ON c.principal = a.principal WHERE a.way = 'passwords' AND c.member = p.id)";
        let row = self.db.read(&authenticate_task()).row(sql, params![folded]).await?;
        let stored = row.as_ref().map(|row| row.text(2)).transpose()?;
        // A name that is not there costs the same time.
        let right = self.passwords.verify(password, stored).await?;
        // Guesses that queued up together are not answered any more once enough of them were wrong.
        self.wait_for(&suspects)?;
        match row.filter(|_| right) {
            Some(row) => {
                self.limiter.lock().unwrap_or_else(PoisonError::into_inner).succeeded(&account);
                Ok(Who { id: row.principal(0)?, name: row.text(1)?.into() })
            }
            None => Err(self.refuse(Some(account), source_ip).await),
        }
    }

    /// Refuses while one of these is locked out.
    pub(crate) fn wait_for(&self, suspects: &[Option<Suspect>]) -> Result<(), IdentityError> {
        let limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.db.now();
        match suspects.iter().flatten().filter_map(|suspect| limiter.wait(suspect, now)).max() {
            Some(after) => Err(IdentityError::TooManyFailures { after }),
            None => Ok(()),
        }
    }

    /// Counts a failure and says no.
    pub(crate) async fn refuse(&self, account: Option<Suspect>, source_ip: Option<&str>) -> crannog_types::Problem {
        let suspects = [account, source_ip.map(address)];
        if let Err(error) = self.wait_for(&suspects) {
            return error.into();
        }
        let now = self.db.now();
        let mut locked = Vec::new();
        {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            for suspect in suspects.iter().flatten() {
                if let Some(after) = limiter.failed(suspect.clone(), now) {
                    locked.push((suspect.clone(), after));
                }
            }
        }
        for (suspect, after) in locked {
            self.record_lock(&suspect, after.as_secs(), source_ip).await;
        }
        tracing::info!(source_ip, "a sign-in failed");
        IdentityError::NotSignedIn.into()
    }

    /// One audit row for each lock, not for each failure: failures cost the attacker nothing and must cost us little.
    async fn record_lock(&self, suspect: &Suspect, seconds: u64, source_ip: Option<&str>) {
        let (kind, name) = match suspect {
            Suspect::Account(name) => ("account", name),
            Suspect::Address(address) => ("address", address),
        };
        let what = Audit::of("accounts", "login")
            .with(kind, name.chars().take(255).collect::<String>())
            .with("locked_for_seconds", seconds);
        let origin = crannog_security::Origin { source_ip: source_ip.map(str::to_owned), ..Default::default() };
        let event = AuditEvent {
            at: self.db.now(),
            who: None,
            origin: Some(Arc::new(origin)),
            what,
            status: 429,
            error: Some("too many failed sign-ins".to_owned()),
        };
        let written = async {
            let mut tx = self.db.write_unaudited(&authenticate_task()).await?;
            tx.record(&event).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::error!(%error, "a lock could not be written to the audit");
        }
    }

    async fn who(&self, credentials: &Credentials, source_ip: Option<&str>) -> Result<Who> {
        let by_header = [CredentialKind::Personal, CredentialKind::OAuth];
        match credentials {
            Credentials::Bearer(token) => match self.owner_of_token(token, &by_header).await? {
                Some(who) => Ok(who),
                None => Err(self.refuse(None, source_ip).await),
            },
            Credentials::Basic { user, password } => {
                if credentials::read(password).is_none() {
                    return self.by_password(user, password, source_ip).await;
                }
                let owner = self.owner_of_token(password, &by_header).await?;
                match owner.filter(|who| user == "token" || fold(user) == fold(&who.name)) {
                    Some(who) => Ok(who),
                    None => Err(self.refuse(None, source_ip).await),
                }
            }
            Credentials::Session(cookie) => {
                let owner = self.owner_of_token(cookie, &[CredentialKind::Session]).await?;
                // Browsers go on sending a session that has ended; nobody guesses 256 random bits that way.
                Ok(owner.ok_or(IdentityError::NotSignedIn)?)
            }
        }
    }
}

fn address(source_ip: &str) -> Suspect {
    Suspect::Address(source_ip.to_owned())
}

impl Authenticate for Identity {
    fn authenticate<'a>(
        &'a self,
        credentials: &'a Credentials,
        source_ip: Option<&'a str>,
    ) -> Pin<Box<dyn Future<Output = Result<Who>> + Send + 'a>> {
        Box::pin(self.who(credentials, source_ip))
    }

    fn in_force<'a>(
        &'a self,
        credentials: &'a Credentials,
        who: &'a Who,
    ) -> Pin<Box<dyn Future<Output = Result<InForce>> + Send + 'a>> {
        Box::pin(async move {
            let text = match credentials {
                Credentials::Bearer(text) | Credentials::Session(text) => text,
                Credentials::Basic { password, .. } => password,
            };
            let token = credentials::read(text).map(|(_, hash)| hex(&hash));
            let by_token = token.is_some();
            let row = self.db.read(&authenticate_task()).row(STATE, params![token, who.id]).await?;
            let Some(row) = row.filter(|row| matches!(row.int(0), Ok(1))) else { return Ok(InForce::Nobody) };
            let there = match row.opt_text(4)? {
                _ if by_token => row.opt_text(1)?.is_some(),
                Some(stored) => row.int(3)? > 0 && self.passwords.is_still(text, stored).await?,
                None => false,
            };
            Ok(if there { InForce::Until(row.opt_int(2)?.map(Micros)) } else { InForce::Gone })
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "who is calling is found out before there is a caller")]
pub(crate) fn authenticate_task() -> System {
    System::task(Task::Authenticate)
}
