//! What every route must have.

use std::collections::BTreeSet;

use crannog_identity::endpoints;
use crannog_kit::Registry;

/// Routes that need no token, all of them.
const PUBLIC: [&str; 11] = [
    "GET /",
    "GET /.well-known/databricks-config",
    "GET /login",
    "GET /oidc/.well-known/oauth-authorization-server",
    "GET /oidc/v1/authorize",
    "GET /setup",
    "POST /login",
    "POST /logout",
    "POST /oidc/v1/consent",
    "POST /oidc/v1/token",
    "POST /setup",
];

on_each! {
    /// Public routes are the list above; every other one refuses who has no token.
    async fn only_listed_routes_are_public(world: &World) {
        let mut registry = Registry::new();
        endpoints(&mut registry, &world.identity);
        let mut public = BTreeSet::new();
        for endpoint in registry.endpoints() {
            let spec = endpoint.spec();
            for path in std::iter::once(&spec.route.path).chain(spec.route.also) {
                let method = spec.route.method.word();
                if spec.public {
                    public.insert(format!("{method} {path}"));
                    continue;
                }
                let sent = path.replace(['{', '}'], "");
                let answer = world.send(method, &sent, &[], "").await;
                assert_eq!(answer.status, 401, "{method} {path}: {}", answer.text);
            }
        }
        assert_eq!(public, PUBLIC.map(str::to_owned).into());
    }
}
