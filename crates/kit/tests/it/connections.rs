//! Clients that hold connections and do nothing with them, over raw sockets; and the floods of HTTP/2.
//!
//! Limits are short here, and every test waits for what it wants to see: a connection's end, an answer, a figure. None looks
//! at the clock.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crannog_kit::connections::Limits;
use crannog_store::testing::Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::World;

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(600);

/// None of the limits will be reached.
fn patient() -> Limits {
    Limits { first: LONG, idle: LONG, part: LONG, body: LONG, answer: LONG, ..Limits::default() }
}

async fn world(limits: Limits) -> World {
    World::limited(Kind::Sqlite, limits).await
}

async fn connect(world: &World) -> TcpStream {
    TcpStream::connect(&world.address).await.unwrap()
}

/// A connection on which these bytes were sent.
async fn sent(world: &World, bytes: &str) -> TcpStream {
    let mut stream = connect(world).await;
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

/// Everything until the server closes the connection; a reset closes it too.
async fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer with a body of known length, on a connection that stays open.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 1024];
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "closed after {text:?}");
        text += std::str::from_utf8(&bytes[..count]).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() == length.parse::<usize>().unwrap() {
                return text;
            }
        }
    }
}

fn figure(world: &World, name: &str) -> u64 {
    let text = world.metrics.text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
    line.unwrap_or_else(|| panic!("{name} not in {text}")).parse().unwrap()
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

const ECHO: &str = "GET /api/2.0/echo/x HTTP/1.1\r\nhost: localhost\r\n\r\n";

#[tokio::test]
async fn a_first_request_that_does_not_come_ends_the_connection() {
    let world = world(Limits { first: SHORT, ..patient() }).await;
    for begun in ["", "G", "GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: 1", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut stream = sent(&world, begun).await;
        until_closed(&mut stream).await;
    }
    assert_eq!(figure(&world, "crannog_http_connections_silent_total"), 4);
    // A head that drips in ends when its time is over, not a while after the last drop.
    let (mut from, mut to) = sent(&world, "GET / HTTP/1.1\r\nhost: localhost\r\n").await.into_split();
    let dripping = async { while to.write_all(b"x: y\r\n").await.is_ok() {} };
    let mut rest = Vec::new();
    let ended = async { _ = from.read_to_end(&mut rest).await };
    tokio::join!(dripping, ended);
    until(|| figure(&world, "crannog_http_connections") == 0).await;
}

#[tokio::test]
async fn between_requests_a_connection_is_kept_for_a_while() {
    let world = world(Limits { idle: SHORT, ..patient() }).await;
    let mut stream = sent(&world, ECHO).await;
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(ECHO.as_bytes()).await.unwrap();
    assert!(answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    stream.write_all(b"GET /api/2.0/ec").await.unwrap();
    assert_eq!(until_closed(&mut stream).await, "");
}

#[tokio::test]
async fn while_the_server_works_nothing_is_cut() {
    let world = world(Limits { first: SHORT, idle: SHORT, part: SHORT, answer: SHORT, ..patient() }).await;
    let mut working = sent(&world, "GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    until(|| world.waiting.load(Ordering::Relaxed) == 1).await;
    // Others come and are cut off after it, twice over: all of its limits have passed.
    for _ in 0..2 {
        until_closed(&mut connect(&world).await).await;
    }
    world.go_on.add_permits(1);
    assert!(answer(&mut working).await.contains("\"waited\":true"));
}

#[tokio::test]
async fn a_body_that_stops_coming_is_refused() {
    let world = world(Limits { part: SHORT, ..patient() }).await;
    for head in [
        "POST /form HTTP/1.1\r\ncontent-type: application/x-www-form-urlencoded\r\n",
        "POST /api/2.0/import HTTP/1.1\r\nauthorization: Bearer admin\r\n",
        "PUT /api/2.0/fs/files/main.s HTTP/1.1\r\nauthorization: Bearer admin\r\n",
    ] {
        let mut stream = sent(&world, &format!("{head}host: localhost\r\ncontent-length: 100\r\n\r\n{{")).await;
        let text = until_closed(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 400") && text.contains("the body stopped coming"), "{head}: {text}");
    }
}

#[tokio::test]
async fn a_small_body_has_to_be_there_in_time_however_steadily_it_drips() {
    let world = world(Limits { body: SHORT, ..patient() }).await;
    let head = "POST /form HTTP/1.1\r\nhost: localhost\r\ncontent-length: 60000\r\n\r\n";
    let (mut from, mut to) = sent(&world, head).await.into_split();
    let dripping = async {
        while to.write_all(b"x").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let mut text = Vec::new();
    let answered = async { _ = from.read_to_end(&mut text).await };
    tokio::join!(dripping, answered);
    let text = String::from_utf8_lossy(&text);
    // Dripping may also have run into the reset that follows the answer; either way the connection ended.
    assert!(text.is_empty() || text.starts_with("HTTP/1.1 400"), "{text}");
    until(|| figure(&world, "crannog_http_connections") == 0).await;
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_the_connection() {
    let world = world(Limits { answer: SHORT, ..patient() }).await;
    let stream = sent(&world, "GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    until(|| figure(&world, "crannog_http_connections_silent_total") == 1).await;
    until(|| figure(&world, "crannog_http_connections") == 0).await;
    drop(stream);
}

#[tokio::test]
async fn one_address_has_so_many_connections_and_no_more() {
    let world = world(Limits { per_address: 3, ..patient() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = sent(&world, ECHO).await;
        answer(&mut stream).await;
        held.push(stream);
    }
    for _ in 0..5 {
        assert_eq!(until_closed(&mut connect(&world).await).await, "");
    }
    assert_eq!(figure(&world, "crannog_http_connections_refused_total"), 5);
    for stream in &mut held {
        stream.write_all(ECHO.as_bytes()).await.unwrap();
        assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
    }
    held.pop();
    until(|| figure(&world, "crannog_http_connections") == 2).await;
    assert!(answer(&mut sent(&world, ECHO).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn bodies_are_as_large_as_their_route_takes() {
    let world = world(patient()).await;
    let status = async |line: &str, who: &str, length: usize| {
        let kind = if line.ends_with("/form") { "application/x-www-form-urlencoded" } else { "application/json" };
        let filling = "x".repeat(length - 11);
        let body = if line.ends_with("/form") {
            format!("name={filling}xxxxxx")
        } else {
            format!("{{\"name\":\"{filling}\"}}")
        };
        assert_eq!(body.len(), length);
        world.send(line, who, &[("content-type", kind)], &body).await.status
    };
    for (line, who, most) in [
        ("POST /form", "", 64 << 10),
        ("POST /api/2.1/unity-catalog/schemas/main", "admin", 1 << 20),
        ("POST /api/2.0/import", "admin", 4 << 20),
    ] {
        assert_eq!((status(line, who, most).await, status(line, who, most + 1).await), (200, 413), "{line}");
    }
}

#[tokio::test]
async fn requests_under_way_finish_when_the_server_stops_and_no_new_ones_begin() {
    let world = world(patient()).await;
    let mut working = sent(&world, "GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let mut idle = sent(&world, ECHO).await;
    answer(&mut idle).await;
    let mut second = Frames::open(&world).await;
    second.request(1, "/wait").await;
    until(|| world.waiting.load(Ordering::Relaxed) == 2).await;
    let stopping = world.tasks.clone();
    let mut stopped = Box::pin(async move { stopping.stop().await });
    // The idle one ends at once, the port is closed, HTTP/2 is told to open no more streams; the two go on.
    tokio::select! {
        () = &mut stopped => panic!("requests are under way"),
        rest = until_closed(&mut idle) => assert_eq!(rest, ""),
    }
    assert_eq!(second.next_of(GOAWAY).await.payload[4..8], [0, 0, 0, 0], "no error");
    assert!(TcpStream::connect(&world.address).await.is_err());
    world.go_on.add_permits(2);
    let text = until_closed(&mut working).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"waited\":true"), "{text}");
    assert_eq!(second.next_of(DATA).await.stream, 1);
    drop(second);
    stopped.await;
}

#[tokio::test]
async fn cutting_ends_what_is_under_way() {
    let world = world(patient()).await;
    let mut working = sent(&world, "GET /wait HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    until(|| world.waiting.load(Ordering::Relaxed) == 1).await;
    world.connections.cut();
    assert_eq!(until_closed(&mut working).await, "");
}

#[tokio::test]
async fn a_client_of_http_2_has_so_many_requests_under_way() {
    let world = world(Limits { streams: 4, ..patient() }).await;
    let mut frames = Frames::open(&world).await;
    let settings = frames.next_of(SETTINGS).await.payload;
    let streams = settings.chunks(6).find(|setting| setting[..2] == [0, 3]).map(|setting| setting[5]);
    assert_eq!(streams, Some(4), "SETTINGS_MAX_CONCURRENT_STREAMS");
    for number in 0..4 {
        frames.request(2 * number + 1, "/wait").await;
    }
    until(|| world.waiting.load(Ordering::Relaxed) == 4).await;
    frames.request(9, "/wait").await;
    let refused = frames.next_of(RST_STREAM).await;
    assert_eq!((refused.stream, refused.payload[3]), (9, 7), "REFUSED_STREAM");
    world.go_on.add_permits(4);
    let mut answered: Vec<u32> = Vec::new();
    while answered.len() < 4 {
        answered.push(frames.next_of(HEADERS).await.stream);
    }
    answered.sort_unstable();
    assert_eq!(answered, [1, 3, 5, 7]);
    assert_eq!(world.waiting.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let world = world(patient()).await;
    let mut frames = Frames::open(&world).await;
    let mut flood = Vec::new();
    for number in 0..5_000 {
        flood.extend(frame(HEADERS, 5, 2 * number + 1, &head("/wait")));
        flood.extend(frame(RST_STREAM, 0, 2 * number + 1, &[0, 0, 0, 8]));
    }
    // The server may have closed before all of it was sent.
    let _ = frames.stream.write_all(&flood).await;
    until(|| figure(&world, "crannog_http_connections") == 0).await;
    assert!(world.waiting.load(Ordering::Relaxed) < 5_000);
    // Whoever comes next is served.
    assert!(answer(&mut sent(&world, ECHO).await).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_http_2_connection_without_requests_is_ended() {
    let world = world(Limits { idle: SHORT, ..patient() }).await;
    let mut frames = Frames::open(&world).await;
    frames.request(1, "/api/2.0/echo/x").await;
    assert_eq!(frames.next_of(DATA).await.stream, 1);
    assert_eq!(frames.next_of(GOAWAY).await.payload[4..8], [0, 0, 0, 0]);
    until(|| figure(&world, "crannog_http_connections") == 0).await;
}

/// HTTP/2 as bytes (RFC 9113): as much as these tests need.
struct Frames {
    stream: TcpStream,
}

struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// GET of a path, in HPACK without its tables' growth: method and scheme by index, authority and path spelled out.
fn head(path: &str) -> Vec<u8> {
    let mut bytes = vec![0x82, 0x86, 0x01, 9];
    bytes.extend(b"localhost");
    bytes.extend([0x04, u8::try_from(path.len()).unwrap()]);
    bytes.extend(path.as_bytes());
    bytes
}

impl Frames {
    async fn open(world: &World) -> Frames {
        let mut stream = sent(world, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
        Frames { stream }
    }

    /// END_STREAM and END_HEADERS: the whole request.
    async fn request(&mut self, number: u32, path: &str) {
        self.stream.write_all(&frame(HEADERS, 5, number, &head(path))).await.unwrap();
    }

    /// The next frame of a kind; others are passed over.
    async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let mut start = [0; 9];
            self.stream.read_exact(&mut start).await.unwrap();
            let length = usize::from(start[0]) << 16 | usize::from(start[1]) << 8 | usize::from(start[2]);
            let mut payload = vec![0; length];
            self.stream.read_exact(&mut payload).await.unwrap();
            let stream = u32::from_be_bytes([start[5], start[6], start[7], start[8]]);
            let frame = Frame { kind: start[3], stream, payload };
            if frame.kind == kind {
                return frame;
            }
        }
    }
}
