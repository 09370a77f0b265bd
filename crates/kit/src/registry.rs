//! All routes of the program, with their types erased.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crannog_security::{Asks, Caller, Kind};
use crannog_types::{Problem, Result};
use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::endpoint::{Cx, Endpoint};
use crate::fixture::Fixture;
use crate::reply::{Output, Reply};
use crate::route::{Answer, Dialect, Route};

/// An endpoint behind a pointer.
pub trait AnyEndpoint: Send + Sync {
    /// What is known of it.
    fn spec(&self) -> &Spec;

    /// Reads the input, asks, and runs.
    fn call<'a>(&'a self, cx: &'a Cx, input: &'a Value) -> Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>>;

    /// The input of the generated tests.
    fn example(&self, fixture: &Fixture) -> Value;
}

/// What is known of a route without running it.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Where it is.
    pub route: Route,
    /// The type's name: `GetTable`, the operation id.
    pub name: String,
    /// The actions that it asks for; empty for public routes.
    pub actions: Vec<&'static str>,
    /// The kinds of objects that it asks about.
    pub kinds: Vec<Kind>,
    /// Open to everybody.
    pub public: bool,
    /// JSON schema of the input.
    pub input: Value,
    /// JSON schema of the answer, where it is JSON.
    pub output: Option<Value>,
    /// The answer that the output stands for.
    pub answer: Answer,
}

struct Erased<E: Endpoint> {
    endpoint: E,
    spec: Spec,
}

impl<E: Endpoint> AnyEndpoint for Erased<E> {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call<'a>(&'a self, cx: &'a Cx, input: &'a Value) -> Pin<Box<dyn Future<Output = Result<Reply>> + Send + 'a>> {
        Box::pin(async move {
            let input = E::read(input).map_err(|error| match E::ROUTE.dialect {
                // Its messages say by themselves what is wrong with them.
                Dialect::Mlflow => Problem::invalid(error.to_string()),
                _ => Problem::invalid(format!("the request is not well formed: {error}")),
            })?;
            let names = self.endpoint.asks(&input)?;
            let permits = match &cx.caller {
                Some(caller) => E::Asks::ask(caller, names).await?,
                None => E::Asks::ask(&nobody(cx), names).await?,
            };
            Ok(self.endpoint.run(cx, permits, input).await?.into())
        })
    }

    fn example(&self, fixture: &Fixture) -> Value {
        E::example(fixture)
    }
}

/// The caller of a public route that brought no token: a judge that knows no object.
fn nobody(cx: &Cx) -> Caller {
    use crannog_security::caller::Ready;
    use crannog_security::{Denied, Facts, Judge, Origin, Reference, Who};
    struct Nothing;
    impl Judge for Nothing {
        fn facts<'a>(&'a self, _: &'a Who, _: &'a Reference) -> Ready<'a, Result<Option<Arc<Facts>>>> {
            Box::pin(async { Ok(None) })
        }
        fn record(&self, _: &Who, _: &Arc<Origin>, _: &'static str, _: &Reference, _: Option<&Denied>) {}
    }
    let who = Who { id: crannog_types::PrincipalId(0), name: "".into() };
    #[expect(clippy::disallowed_methods, reason = "a public route runs without a caller; this one is granted nothing")]
    Caller::new(who, Arc::clone(&cx.origin), Arc::new(Nothing))
}

/// Routes that are served below a further path, too: for pages whose addresses are relative to their own. Nothing else differs there,
/// so no list has them a second time.
#[derive(Clone, Copy, Debug)]
pub struct Mount {
    /// `/mlflow`, of `/mlflow/graphql`.
    pub below: &'static str,
    /// Which: whole paths, and beginnings that end with `/`.
    pub paths: &'static [&'static str],
}

impl Mount {
    /// Whether it is about this path.
    pub fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|one| path == *one || (one.ends_with('/') && path.starts_with(one)))
    }
}

/// The routes.
#[derive(Default)]
pub struct Registry {
    endpoints: Vec<Arc<dyn AnyEndpoint>>,
    mounts: Vec<Mount>,
}

impl Registry {
    /// An empty one.
    pub fn new() -> Self {
        Registry::default()
    }

    /// Adds a route.
    pub fn add<E: Endpoint>(&mut self, endpoint: E) {
        let mut generator =
            SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None).into_generator();
        let input = generator.clone().into_root_schema_for::<E::In>();
        let output = E::Out::schema(&mut generator).map(|schema| {
            let mut schema = schema.to_value();
            let definitions = generator.take_definitions(true);
            if let (Value::Object(object), false) = (&mut schema, definitions.is_empty()) {
                object.insert("$defs".to_owned(), Value::Object(definitions));
            }
            schema
        });
        let actions = E::Asks::actions();
        let spec = Spec {
            route: E::ROUTE,
            name: std::any::type_name::<E>().rsplit("::").next().unwrap_or_default().to_owned(),
            public: actions.is_empty(),
            actions,
            kinds: E::Asks::kinds(),
            input: input.to_value(),
            output,
            answer: E::Out::ANSWER,
        };
        self.endpoints.push(Arc::new(Erased { endpoint, spec }));
    }

    /// Serves some routes below a further path, too.
    pub fn mount(&mut self, mount: Mount) {
        self.mounts.push(mount);
    }

    /// What is served below a further path, too.
    pub fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// All of them, in the order they were added.
    pub fn endpoints(&self) -> &[Arc<dyn AnyEndpoint>] {
        &self.endpoints
    }

    /// The list of routes as `crannog endpoints` prints it: method, path, actions, a line each, sorted.
    pub fn list(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for endpoint in &self.endpoints {
            let spec = endpoint.spec();
            let actions = if spec.public { "public".to_owned() } else { spec.actions.join(" + ") };
            for path in std::iter::once(&spec.route.path).chain(spec.route.also) {
                lines.push(format!("{:6} {path}  [{actions}]  {}", spec.route.method.word(), spec.name));
            }
        }
        lines.sort();
        lines.join("\n") + "\n"
    }
}
