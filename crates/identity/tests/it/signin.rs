//! Failures are counted, and never against a right token.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use crannog_kit::{Authenticate, Credentials};

const ME: &str = "/api/2.0/preview/scim/v2/Me";

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

on_each! {
    /// Every reason reads the same.
    async fn one_message_for_every_reason(world: &World) {
        let good = world.admin();
        let mut wrong = good.clone();
        wrong.replace_range(10..12, "zz");
        let mut messages = std::collections::BTreeSet::new();
        for header in [
            format!("Bearer {wrong}"),
            "Bearer dapi00000000000000000000000000000000".to_owned(),
            format!("Bearer {}", world.first.setup_code.reveal()),
            basic("admin", "not the password"),
            basic("nobody@example.com", "not the password"),
            basic("somebody-else", &good),
        ] {
            let answer = world.send("GET", ME, &[("Authorization", &header)], "").await;
            assert_eq!(answer.status, 401, "{header} {}", answer.text);
            assert!(answer.header("www-authenticate").is_some());
            messages.insert(answer.json()["detail"].as_str().unwrap().to_owned());
        }
        assert_eq!(messages.len(), 1, "{messages:?}");
        for user in ["admin", "ADMIN", "token"] {
            let header = basic(user, &good);
            assert_eq!(world.send("GET", ME, &[("Authorization", &header)], "").await.status, 200, "{user}");
        }
    }

    /// After 20 failures an address waits, but a right token from there does not; the wait doubles.
    async fn a_right_token_is_never_locked_out(world: &World) {
        let good = world.admin();
        world.hold_the_clock();
        for _ in 0..20 {
            assert_eq!(world.get("crg_wrong", ME).await.status, 401);
        }
        let refused = world.get("crg_wrong", ME).await;
        assert_eq!(refused.status, 429);
        assert_eq!(refused.header("retry-after"), Some("15"));
        for _ in 0..50 {
            assert_eq!(world.get(&good, ME).await.status, 200);
            assert_eq!(world.get("crg_wrong", ME).await.status, 429);
        }
        world.later(16);
        assert_eq!(world.get("crg_wrong", ME).await.status, 401);
        let refused = world.get("crg_wrong", ME).await;
        assert_eq!(refused.header("retry-after"), Some("30"));
        assert_eq!(world.get(&good, ME).await.status, 200);
        let locks = world.rows("SELECT status_code FROM audit_event WHERE action_name = 'login' AND status_code = 429").await;
        assert_eq!(locks.len(), 2);
    }

    /// After 5 failures an account's password is not looked at any more, from anywhere; its token works.
    async fn an_account_is_locked_for_passwords_alone(world: &World) {
        world.hold_the_clock();
        let wrong = Credentials::Basic { user: "admin".to_owned(), password: "wrong".to_owned() };
        for n in 0..5 {
            let problem = world.identity.authenticate(&wrong, Some(&format!("10.0.0.{n}"))).await.unwrap_err();
            assert_eq!(problem.code(), crannog_types::Code::Unauthenticated);
        }
        let problem = world.identity.authenticate(&wrong, Some("10.0.0.99")).await.unwrap_err();
        assert_eq!(problem.code(), crannog_types::Code::ResourceExhausted);
        assert!(problem.retry().is_some());
        let right = Credentials::Basic { user: "admin".to_owned(), password: world.admin() };
        world.identity.authenticate(&right, Some("10.0.0.99")).await.unwrap();
    }
}

/// Checking a known token is one hash and one look into memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checking_a_token_is_fast() {
    let world = crate::world::World::start(crannog_store::testing::Kind::Sqlite).await;
    let token = Credentials::Bearer(world.admin());
    let mut times = Vec::new();
    for _ in 0..20_000 {
        let start = Instant::now();
        world.identity.authenticate(&token, Some("127.0.0.1")).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("token check: median {:?}, p99 {:?}", times[10_000], times[19_800]);
    // Unoptimised and on a shared machine; the benchmark holds the release build to 50 µs.
    assert!(times[19_800].as_micros() < 1_000, "{:?}", times[19_800]);
    world.stop().await;
}
