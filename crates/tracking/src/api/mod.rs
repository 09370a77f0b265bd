//! The doors of tracking. A door reads the wire, says what it is about, calls one verb of [`crate::service`] and writes the wire
//! again. It must never decide who may do what, and never touch the database by itself.

mod files;
mod imports;
mod mlflow;
mod unity;

use crannog_kit::Registry;

use crate::Tracking;

/// A route of the registry: all of them read a request, ask for one thing, and call one verb.
macro_rules! endpoint {
    (
        $(#[$doc:meta])*
        $name:ident: $route:expr;
        $asks:ty, $input:ty => $output:ty;
        asks |$about:pat_param| $names:expr;
        run |$tracking:ident, $cx:pat_param, $permit:pat_param, $asked:pat_param| $run:expr;
        example |$fixture:pat_param| $example:expr;
    ) => {
        $(#[$doc])*
        pub(super) struct $name(pub(super) crate::Tracking);

        impl crannog_kit::Endpoint for $name {
            type Asks = $asks;
            type In = $input;
            type Out = $output;
            const ROUTE: crannog_kit::Route = $route;

            fn asks(&self, $about: &$input) -> crannog_types::Result<<$asks as crannog_security::Asks>::Names> {
                $names
            }

            async fn run(
                &self,
                $cx: &crannog_kit::Cx,
                $permit: <$asks as crannog_security::Asks>::Permits,
                $asked: $input,
            ) -> crannog_types::Result<$output> {
                let $tracking = &self.0;
                $run
            }

            fn example($fixture: &crannog_kit::Fixture) -> serde_json::Value {
                $example
            }
        }
    };
}
pub(crate) use endpoint;

/// The name that a model has in the fixture.
pub(crate) fn example_model(fixture: &crannog_kit::Fixture) -> String {
    format!("{}.{}.{}", fixture.catalog, fixture.schema, fixture.text("model"))
}

pub(crate) fn endpoints(registry: &mut Registry, tracking: &Tracking) {
    mlflow::endpoints(registry, tracking);
    unity::endpoints(registry, tracking);
    files::endpoints(registry, tracking);
    imports::endpoints(registry, tracking);
}
