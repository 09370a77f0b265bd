//! Checking a personal access token, as every request does: the hash, the look into what is kept in memory, and the look
//! whether that is still what the database says (a token that was revoked is out at the next request).

use std::path::Path;
use std::time::Instant;

use crannog_identity::{Identity, IdentityConfig, bootstrap};
use crannog_kit::{Authenticate, Credentials, clock};
use crannog_store::Db;
use serde_json::json;

use crate::{Outcome, percentile};

const CHECKS: usize = 50_000;

pub(crate) async fn check(folder: &Path) -> Outcome {
    let db = Db::sqlite(&folder.join("meta.db"), clock::now).await?;
    let first = bootstrap(&db, "admin").await?.ok_or("the database was set up before")?;
    let identity = Identity::open(db.clone(), IdentityConfig { root_key_file: folder.join("root.key") }).await?;
    let token = Credentials::Bearer(first.token.reveal().to_owned());
    let mut times = Vec::with_capacity(CHECKS);
    for _ in 0..CHECKS {
        let began = Instant::now();
        identity.authenticate(&token, Some("127.0.0.1")).await?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    println!(
        "{}",
        json!({
            "checks": CHECKS,
            "p50_us": percentile(&times, 0.5).as_secs_f64() * 1e6,
            "p99_us": percentile(&times, 0.99).as_secs_f64() * 1e6,
            "p999_us": percentile(&times, 0.999).as_secs_f64() * 1e6,
        })
    );
    db.close().await;
    Ok(())
}
