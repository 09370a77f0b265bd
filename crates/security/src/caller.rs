//! The caller: somebody whom `kit` has authenticated, and the only place that permits come from.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use crannog_types::{Code, PrincipalId, Problem, Result};

use crate::actions::{Action, Rule};
use crate::evaluate::{Allowed, Decision, Facts, Missing, decide, listing};
use crate::permit::{Listing, Permit, Target, Visible};
use crate::securables::{Kind, NameOf, Reference, ScopeOf, Securable};

/// Who is calling.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    /// The principal.
    pub id: PrincipalId,
    /// A person's user name (an e-mail address) or a service principal's application id.
    pub name: Arc<str>,
}

/// Where a request came from: what an audit row needs besides who and what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Of the request; every answer carries it.
    pub request_id: String,
    /// The address of the client, or of the proxy's client when the proxy is trusted.
    pub source_ip: Option<String>,
    /// As the client sent it: not to be trusted.
    pub user_agent: Option<String>,
    /// The statement that this is part of.
    pub statement_id: Option<String>,
}

/// A future that is sent between threads.
pub type Ready<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What `kit` does for a caller: read the rows of a decision, and record it.
pub trait Judge: Send + Sync {
    /// The closure of the principal and the chain of the object; `None` when there is no such object.
    fn facts<'a>(&'a self, who: &'a Who, about: &'a Reference) -> Ready<'a, Result<Option<Arc<Facts>>>>;

    /// Keeps a decision for the audit, in the background.
    fn record(&self, who: &Who, origin: &Arc<Origin>, action: &'static str, about: &Reference, denied: Option<&Denied>);
}

/// Whether a credential that was accepted is in force still: `kit` asks whoever accepted it.
pub trait Standing: Send + Sync {
    /// `Unauthenticated` once it was revoked, or its owner was deactivated.
    fn check(&self) -> Ready<'_, Result<()>>;
}

/// A no.
#[derive(Clone, Debug)]
pub struct Denied {
    /// How the caller wrote the object.
    pub about: Reference,
    /// The grants that would be needed; empty when the object is not there or not visible.
    pub missing: Vec<Missing>,
    /// Whether the caller may know that the object is there.
    pub visible: bool,
    /// The caller's name, for the hint.
    pub who: Arc<str>,
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let kind = denied.about.kind();
        if !denied.visible {
            return not_found(&denied.about);
        }
        let wanted = denied.missing.iter().map(Missing::describe).collect::<Vec<_>>().join(" and ");
        let mut problem =
            Problem::new(Code::PermissionDenied, format!("permission denied: {} does not have {wanted}", denied.who))
                .sql_state("42501");
        for missing in &denied.missing {
            if let Some(statement) = missing.grant_statement(&denied.who) {
                problem = problem.fact("missing_grant", statement);
            }
        }
        let statements: Vec<String> =
            denied.missing.iter().filter_map(|missing| missing.grant_statement(&denied.who)).collect();
        if statements.is_empty() {
            problem.hint(format!("ask an administrator or the owner of the {kind}"))
        } else {
            problem.hint(format!("its owner or an administrator can run: {}", statements.join("; ")))
        }
    }
}

/// The answer about what is not there or may not be seen: made of the name alone, the same for both.
pub fn not_found(about: &Reference) -> Problem {
    if let Reference::Found(finder, word) = about {
        // Its component speaks for a client that knows its own words.
        return Problem::not_found(finder.missing.replace("{}", word)).reason("RESOURCE_DOES_NOT_EXIST");
    }
    if let Reference::Named(Kind::Experiment, id) = about {
        return Problem::not_found(format!("No Experiment with id={id} exists")).reason("RESOURCE_DOES_NOT_EXIST");
    }
    let kind = about.kind();
    let reason = match kind {
        Kind::Catalog => "CATALOG_DOES_NOT_EXIST",
        Kind::Schema => "SCHEMA_DOES_NOT_EXIST",
        Kind::Table => "TABLE_DOES_NOT_EXIST",
        Kind::Volume => "VOLUME_DOES_NOT_EXIST",
        Kind::Metastore
        | Kind::Model
        | Kind::Warehouse
        | Kind::SecretScope
        | Kind::Experiment
        | Kind::Run
        | Kind::LoggedModel
        | Kind::Any => "RESOURCE_DOES_NOT_EXIST",
    };
    let state = if kind == Kind::Schema || kind == Kind::Catalog { "42704" } else { "42P01" };
    Problem::new(Code::NotFound, format!("{} does not exist, or you may not see it", about.as_written()))
        .reason(reason)
        .sql_state(state)
        .hint("check the name; if it is right, ask its owner for access")
}

/// Somebody who was authenticated. Cheap to clone: a statement takes it along into the background.
#[derive(Clone)]
pub struct Caller {
    who: Who,
    origin: Arc<Origin>,
    judge: Arc<dyn Judge>,
    standing: Arc<dyn Standing>,
}

impl Caller {
    /// The caller of a request. Only `kit` does this, after authentication, and `lake` for the owner of a view
    /// (`clippy.toml` holds both to it).
    pub fn new(who: Who, origin: Arc<Origin>, judge: Arc<dyn Judge>) -> Self {
        Caller { who, origin, judge, standing: Arc::new(()) }
    }

    /// With a way to find out whether the credential is in force still, for leases.
    #[must_use]
    pub fn standing_by(self, standing: Arc<dyn Standing>) -> Self {
        Caller { standing, ..self }
    }

    /// Whether the credential that it came with is in force still.
    ///
    /// # Errors
    /// `Unauthenticated` when it is not.
    pub async fn stands(&self) -> Result<()> {
        self.standing.check().await
    }

    /// Who it is.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Where the request came from.
    pub fn origin(&self) -> &Arc<Origin> {
        &self.origin
    }

    /// The same caller inside a statement, whose id the audit then shows.
    pub fn in_statement(&self, statement_id: &str) -> Self {
        let origin = Origin { statement_id: Some(statement_id.to_owned()), ..(*self.origin).clone() };
        Caller { origin: Arc::new(origin), ..self.clone() }
    }

    /// Somebody else in the same request: the owner of a view, with whose rights the view reads its tables.
    /// (`clippy.toml` holds its use to that.)
    pub fn acting_as(&self, who: Who) -> Self {
        Caller { who, ..self.clone() }
    }

    /// Asks to do `A` to an object: resolves its name, decides, records.
    ///
    /// # Errors
    /// [`Denied`] as a [`Problem`]: "not found" when the caller may not even see the object.
    pub async fn ask<A: Action>(&self, on: NameOf<A>) -> Result<Permit<A>> {
        match self.decide(A::NAME, A::On::KIND, A::RULE, &on.reference).await? {
            Ok((target, _)) => {
                Ok(Permit { target, who: self.who.clone(), origin: Arc::clone(&self.origin), of: PhantomData })
            }
            Err(denied) => Err(denied.into()),
        }
    }

    /// Asks which children of a container may be listed.
    ///
    /// # Errors
    /// "Not found" when the container is not there or not visible.
    pub async fn visible<A: Action>(&self, under: ScopeOf<A>) -> Result<Visible<A>> {
        let facts = self.judge.facts(&self.who, &under.reference).await?;
        let seen = facts.as_deref().filter(|facts| matches!(decide(Rule::Visible, facts), Decision::Allowed(_)));
        let Some((facts, scope)) = seen.and_then(|facts| Some((facts, target_of(facts)?))) else {
            let about = under.reference;
            let denied = Denied { about, missing: Vec::new(), visible: false, who: Arc::clone(&self.who.name) };
            self.judge.record(&self.who, &self.origin, A::NAME, &denied.about, Some(&denied));
            return Err(denied.into());
        };
        let listing = match listing(facts, A::On::KIND) {
            Some(true) => Listing::All,
            Some(false) => Listing::Granted,
            None => Listing::Nothing,
        };
        Ok(Visible { scope, listing, who: self.who.clone(), origin: Arc::clone(&self.origin), of: PhantomData })
    }

    /// What [`Caller::ask`] would answer, with its reasons, leaving no trace: for `explain`.
    pub async fn explain(&self, rule: Rule, about: &Reference) -> Result<(Option<Target>, Decision)> {
        let facts = self.judge.facts(&self.who, about).await?;
        Ok(match facts.as_deref() {
            Some(facts) => (target_of(facts), decide(rule, facts)),
            None => (None, Decision::Denied { missing: Vec::new(), visible: false }),
        })
    }

    /// [`Caller::ask`] once more, for what a permit was given for.
    pub(crate) async fn ask_again(
        &self,
        action: &'static str,
        kind: Kind,
        rule: Rule,
        about: &Reference,
    ) -> Result<()> {
        // What was dropped meanwhile is nobody's to revoke.
        if self.judge.facts(&self.who, about).await?.is_none() {
            return Ok(());
        }
        self.decide(action, kind, rule, about).await?.map(|_| ()).map_err(Problem::from)
    }

    async fn decide(
        &self,
        action: &'static str,
        kind: Kind,
        rule: Rule,
        about: &Reference,
    ) -> Result<Result<(Target, Allowed), Denied>> {
        let facts = self.judge.facts(&self.who, about).await?;
        let of_kind = |target: &Target| kind == Kind::Any || target.kind == kind.governed();
        let found = facts.as_deref().and_then(|facts| Some((facts, target_of(facts).filter(of_kind)?)));
        let decided = match found {
            None => Err((Vec::new(), false)),
            Some((facts, target)) => match decide(rule, facts) {
                Decision::Allowed(allowed) => Ok((target.about(about), allowed)),
                Decision::Denied { missing, visible } => Err((missing, visible)),
            },
        };
        let outcome = decided.map_err(|(missing, visible)| Denied {
            about: about.clone(),
            missing,
            visible,
            who: Arc::clone(&self.who.name),
        });
        self.judge.record(&self.who, &self.origin, action, about, outcome.as_ref().err());
        Ok(outcome)
    }
}

fn target_of(facts: &Facts) -> Option<Target> {
    let node = facts.chain.first()?;
    Some(Target { id: node.id, kind: node.kind, name: node.name.clone(), owner: node.owner, part: None })
}
