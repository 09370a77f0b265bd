//! `/api/2.0/crannog/explain`: why somebody may do something to an object, or what is missing.
//!
//! Everybody may ask about themselves. About others those may ask who manage the object, and administrators; to anybody
//! else the answer is the same as for an object that is not there, or a denial when they may see the object.

use crannog_kit::{Cx, Dialect, Endpoint, Fixture, Json, Method, Route};
use crannog_security::actions::{self, metastore};
use crannog_security::caller::not_found;
use crannog_security::{Because, Decision, Kind, Missing, NameOf, Permit, Privilege, Reference, Rule, Target, Who};
use crannog_types::{Code, FullName, Problem, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::unity::full_name;
use crate::Governance;
use crate::service::explain as service;

/// Says why, or why not.
pub(crate) struct Explain(pub(super) Governance);

/// Who, what, on which object.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ExplainIn {
    /// The person, service principal or group; the caller when left out.
    principal: Option<String>,
    /// An action (`tables.select`) or a privilege (`SELECT`, `USE_CATALOG`).
    action: String,
    /// The kind of object.
    securable_type: String,
    /// Its full name; left out for the metastore.
    full_name: Option<String>,
}

/// A decision with its reasons.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Explanation {
    principal: String,
    action: String,
    securable_type: &'static str,
    full_name: String,
    allowed: bool,
    /// Whether the principal may know that the object is there.
    visible: bool,
    /// The reasons of a yes: the USE gates first, what decided last.
    because: Vec<Reason>,
    /// What a no lacks.
    missing: Vec<Lack>,
    /// The decision in one sentence.
    text: String,
}

/// One reason.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Reason {
    /// `signed_in`, `owner` or `grant`.
    kind: &'static str,
    privilege: Option<&'static str>,
    on_type: Option<&'static str>,
    on: Option<String>,
    /// The principal that owns or was granted: the one asked about, or a group of theirs.
    via: Option<String>,
}

/// One thing that is missing.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Lack {
    /// None: ownership.
    privilege: Option<&'static str>,
    on_type: &'static str,
    on: String,
    /// The statement that gives it.
    grant: Option<String>,
}

/// The rule of an action's name, or of holding a privilege.
fn rule(word: &str, kind: Kind) -> Result<Rule> {
    if let Some(row) = actions::ALL.iter().find(|row| row.name.eq_ignore_ascii_case(word)) {
        if row.on == kind || row.on == Kind::Any {
            return Ok(row.rule);
        }
        return Err(Problem::invalid(format!("{} is done to a {}, not to a {kind}", row.name, row.on)));
    }
    match Privilege::parse(word) {
        Some(Privilege::Manage) => Ok(Rule::Manages),
        Some(Privilege::Browse) => Ok(Rule::Visible),
        Some(privilege) => Ok(Rule::Holds(privilege)),
        None => {
            let known: Vec<&str> =
                actions::ALL.iter().filter(|row| row.on == kind || row.on == Kind::Any).map(|row| row.name).collect();
            Err(Problem::invalid(format!("{word:?} is no action and no privilege"))
                .hint(format!("on a {kind} there are: {}", known.join(", "))))
        }
    }
}

fn reference(input: &ExplainIn) -> Result<Reference> {
    let word = &input.securable_type;
    let kind = Kind::of_word(word).ok_or_else(|| {
        Problem::invalid(format!("there are no objects of type {word:?} here"))
            .hint(format!("kinds are {}", Kind::ALL.map(Kind::word).join(", ")))
    })?;
    match kind {
        Kind::Metastore => Ok(Reference::Root),
        kind => {
            let name = input.full_name.as_deref().unwrap_or_default();
            Ok(Reference::Named(kind, full_name(name, kind.name_parts())?))
        }
    }
}

impl Explain {
    async fn reason(&self, permit: &Permit<metastore::Read>, because: Because, about: &FullName) -> Result<Reason> {
        let db = &self.0.db;
        let (kind, privilege, on, via) = match because {
            Because::SignedIn => ("signed_in", None, None, None),
            Because::Owner { of, via } => ("owner", None, Some(of), Some(via)),
            Because::Granted { privilege, on, to } => ("grant", Some(privilege.sql()), Some(on), Some(to)),
        };
        let on = match on {
            Some(id) => Some(service::container(db, permit, id, about).await?),
            None => None,
        };
        let via = match via {
            Some(id) => Some(service::principal_name(db, permit, id).await?),
            None => None,
        };
        let on_type = on.as_ref().map(|(kind, _)| kind.word());
        Ok(Reason { kind, privilege, on_type, on: on.map(|(_, name)| name.to_string()), via })
    }
}

impl Endpoint for Explain {
    type Asks = metastore::Read;
    type In = ExplainIn;
    type Out = Json<Explanation>;
    const ROUTE: Route = Route::new(
        Method::Get,
        "/api/2.0/crannog/explain",
        Dialect::Databricks,
        "Say why somebody may do something to an object, or what is missing.",
    );

    fn asks(&self, _: &ExplainIn) -> Result<NameOf<metastore::Read>> {
        Ok(NameOf::root())
    }

    async fn run(&self, cx: &Cx, permit: Permit<metastore::Read>, input: ExplainIn) -> Result<Json<Explanation>> {
        let about = reference(&input)?;
        let rule = rule(&input.action, about.kind())?;
        let caller = cx.caller()?;
        let who = caller.who().clone();
        let others = input
            .principal
            .as_deref()
            .filter(|name| !name.is_empty() && crannog_types::fold(name) != crannog_types::fold(&who.name));
        let (subject, target, decision) = match others {
            None => {
                let (target, decision) = caller.explain(rule, &about).await?;
                (who, target, decision)
            }
            Some(name) => {
                let (manages, admin) = (
                    caller.explain(Rule::Manages, &about).await?,
                    caller.explain(Rule::Admin, &Reference::Root).await?,
                );
                let may = [&manages.1, &admin.1].into_iter().any(|decision| matches!(decision, Decision::Allowed(_)));
                if !may {
                    let sees = matches!(manages.1, Decision::Denied { visible: true, .. });
                    return Err(if sees { not_yours(&about) } else { not_found(&about) });
                }
                let subject = service::principal(&self.0.db, &permit, name).await?;
                let (target, decision) =
                    self.0.authority.caller(subject.clone(), cx.origin().clone()).explain(rule, &about).await?;
                if target.is_none() {
                    return Err(not_found(&about));
                }
                (subject, target, decision)
            }
        };
        Ok(Json(self.answer(&permit, input.action, &about, subject, target, decision, others.is_some()).await?))
    }

    fn example(fixture: &Fixture) -> Value {
        json!({
            "action": "SELECT",
            "securable_type": "table",
            "full_name": format!("{}.{}.{}", fixture.catalog, fixture.schema, fixture.table),
        })
    }
}

impl Explain {
    /// `knows`: whoever asks may know of the object even where the principal may not.
    #[expect(clippy::too_many_arguments, reason = "each is one part of one sentence")]
    async fn answer(
        &self,
        permit: &Permit<metastore::Read>,
        action: String,
        about: &Reference,
        subject: Who,
        target: Option<Target>,
        decision: Decision,
        knows: bool,
    ) -> Result<Explanation> {
        let visible = match &decision {
            Decision::Allowed(_) => true,
            Decision::Denied { visible, .. } => *visible,
        };
        // About what the caller may not see the answer is made of what the caller wrote.
        let written = match about {
            Reference::Named(_, name) => name.clone(),
            Reference::Root | Reference::Id(..) | Reference::Found(..) => FullName::of(Vec::<String>::new()),
        };
        let name = target.filter(|_| visible || knows).map_or(written, |target| target.name);
        let (mut because, mut missing) = (Vec::new(), Vec::new());
        let allowed = match decision {
            Decision::Allowed(allowed) => {
                for reason in allowed.0 {
                    because.push(self.reason(permit, reason, &name).await?);
                }
                true
            }
            Decision::Denied { missing: lacks, .. } => {
                if visible || knows {
                    missing = lacks.iter().map(|lack| self::lack(lack, &subject.name)).collect();
                }
                false
            }
        };
        let text = sentence(&subject.name, &action, about, &because, &missing, allowed);
        Ok(Explanation {
            principal: subject.name.to_string(),
            action,
            securable_type: about.kind().word(),
            full_name: name.to_string(),
            allowed,
            visible,
            because,
            missing,
            text,
        })
    }
}

fn lack(missing: &Missing, to: &str) -> Lack {
    Lack {
        privilege: missing.privilege.map(Privilege::sql),
        on_type: missing.kind.word(),
        on: missing.on.to_string(),
        grant: missing.grant_statement(to),
    }
}

fn sentence(who: &str, action: &str, about: &Reference, because: &[Reason], missing: &[Lack], allowed: bool) -> String {
    let about = about.as_written();
    // A privilege as GRANT writes it, however it was asked for.
    let action = match Privilege::parse(action) {
        Some(privilege) => privilege.sql(),
        None => action,
    };
    if !allowed {
        let lacks: Vec<String> = missing
            .iter()
            .map(|lack| {
                let on = if lack.on_type == "metastore" { "the metastore" } else { &lack.on };
                let kind = if lack.on_type == "metastore" { "" } else { lack.on_type };
                format!(
                    "{} on {kind}{}{on}",
                    lack.privilege.unwrap_or("ownership"),
                    if kind.is_empty() { "" } else { " " }
                )
            })
            .collect();
        return match lacks.is_empty() {
            true => format!("{who} may not {action} on {about}: it does not exist, or {who} may not see it"),
            false => format!("{who} may not {action} on {about}: missing {}", enumerated(&lacks)),
        };
    }
    let mut reasons: Vec<String> = because
        .iter()
        .map(|reason| {
            // The metastore has no name of its own.
            let on = match (reason.on_type, reason.on.as_deref()) {
                (Some("metastore"), _) => "the metastore".to_owned(),
                (kind, name) => format!("{} {}", kind.unwrap_or_default(), name.unwrap_or_default()),
            };
            let via = reason.via.as_deref().filter(|via| *via != who).map(|via| format!(" through {via}"));
            match (reason.kind, reason.privilege) {
                ("grant", Some(privilege)) => format!("{privilege} on {on}{}", via.unwrap_or_default()),
                ("owner", _) => format!("owner of {on}{}", via.unwrap_or_default()),
                _ => "signed in".to_owned(),
            }
        })
        .collect();
    // One grant or ownership can open several gates on the way; it is told once.
    let mut told = std::collections::HashSet::new();
    reasons.retain(|reason| told.insert(reason.clone()));
    format!("{who} may {action} on {about}: {}", reasons.join(", "))
}

/// `a`, `a and b`, `a, b and c`.
fn enumerated(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn not_yours(about: &Reference) -> Problem {
    Problem::new(
        Code::PermissionDenied,
        format!("what others may do to {} is told to its owners and to administrators", about.as_written()),
    )
    .hint("leave principal out to ask about yourself")
}
