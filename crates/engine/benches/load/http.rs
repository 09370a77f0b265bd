//! Clients that send one request again and again over kept connections (HTTP/1.1, no TLS), each waiting for its answer.
//!
//! The input is one JSON object: `address` (host:port), `method`, `path`, `token`, `body` (may be left out), `expect` (a
//! text that a good answer has, with status 200), `clients`, and `seconds` or `requests` (in all). `{n}` in path and body
//! becomes a number that no other request has. It speaks HTTP by hand so as to take as little as can be of the machine that
//! the server runs on too.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::{Outcome, percentile};

#[derive(Deserialize)]
struct Load {
    address: String,
    method: String,
    path: String,
    token: String,
    #[serde(default)]
    body: String,
    #[serde(default)]
    expect: String,
    clients: usize,
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    requests: u64,
}

#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    failed: usize,
    first_failure: Option<String>,
    bytes: usize,
}

pub(crate) async fn send() -> Outcome {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    let load: Arc<Load> = Arc::new(serde_json::from_str(&input)?);
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..load.clients {
        clients.spawn(client(Arc::clone(&load), Arc::clone(&next), began));
    }
    let mut all = Seen::default();
    while let Some(done) = clients.join_next().await {
        let seen = done??;
        all.times.extend(seen.times);
        all.failed += seen.failed;
        all.bytes += seen.bytes;
        all.first_failure = all.first_failure.or(seen.first_failure);
    }
    let seconds = began.elapsed().as_secs_f64();
    all.times.sort_unstable();
    println!(
        "{}",
        json!({
            "done": all.times.len(),
            "failed": all.failed,
            "first_failure": all.first_failure,
            "bytes": all.bytes,
            "seconds": seconds,
            "p50_ms": percentile(&all.times, 0.5).as_secs_f64() * 1e3,
            "p99_ms": percentile(&all.times, 0.99).as_secs_f64() * 1e3,
        })
    );
    Ok(())
}

async fn client(
    load: Arc<Load>,
    next: Arc<AtomicU64>,
    began: Instant,
) -> Result<Seen, Box<dyn std::error::Error + Send + Sync>> {
    let mut stream = TcpStream::connect(&load.address).await?;
    stream.set_nodelay(true)?;
    let mut seen = Seen::default();
    let mut answer = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let over =
            if load.requests > 0 { number >= load.requests } else { began.elapsed().as_secs_f64() >= load.seconds };
        if over {
            return Ok(seen);
        }
        let number = number.to_string();
        let (path, body) = (load.path.replace("{n}", &number), load.body.replace("{n}", &number));
        let request = format!(
            "{} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            load.method,
            load.address,
            load.token,
            body.len(),
        );
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let (status, body) = read_answer(&mut stream, &mut answer).await?;
        let took = sent.elapsed();
        seen.bytes += body.len();
        let text = String::from_utf8_lossy(body);
        if status == 200 && text.contains(&load.expect) {
            seen.times.push(took);
        } else {
            seen.failed += 1;
            let _ = seen
                .first_failure
                .get_or_insert_with(|| format!("{status} {}", text.chars().take(300).collect::<String>()));
        }
    }
}

/// Reads one answer; its body is what the length in its head says. The server gives one for everything but streams.
async fn read_answer<'a>(
    stream: &mut TcpStream,
    answer: &'a mut Vec<u8>,
) -> Result<(u16, &'a [u8]), Box<dyn std::error::Error + Send + Sync>> {
    answer.clear();
    let head = loop {
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(answer).await? == 0 {
            return Err("the server closed the connection".into());
        }
    };
    let text = std::str::from_utf8(answer.get(..head).unwrap_or_default())?.to_ascii_lowercase();
    let status = text.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or("an answer without a length")?;
    let end = head + length.trim().parse::<usize>()?;
    while answer.len() < end {
        if stream.read_buf(answer).await? == 0 {
            return Err("the server closed the connection".into());
        }
    }
    Ok((status, answer.get(head..end).unwrap_or_default()))
}
