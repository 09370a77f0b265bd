//! A `crannog up` on an empty folder and free ports, for tests. It ends with the test.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The built program. Another checkout that builds into the same folder may replace cargo's while tests run, so the
/// whole of `make test` uses its own copy.
fn binary() -> OsString {
    #[expect(clippy::disallowed_methods, reason = "the test is told which program to test")]
    let copy = std::env::var("CRANNOG_BIN");
    copy.map_or_else(|_| env!("CARGO_BIN_EXE_crannog").into(), OsString::from)
}

/// The built program as a command.
pub(crate) fn program() -> Command {
    #[expect(clippy::disallowed_methods, reason = "the test starts the program that it tests")]
    let mut command = Command::new(binary());
    for name in ["CRANNOG_HOST", "CRANNOG_TOKEN", "DATABRICKS_HOST", "DATABRICKS_TOKEN", "CRANNOG_CONFIG"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// A running server.
pub(crate) struct Running {
    child: Child,
    pub(crate) url: String,
    pub(crate) tls_url: String,
    pub(crate) greeting: String,
}

impl Running {
    /// Starts it and waits until it is ready.
    pub(crate) fn up(data: &Path) -> Self {
        Self::with(data, &[])
    }

    pub(crate) fn with(data: &Path, arguments: &[&str]) -> Self {
        let mut child = program()
            .args(["up", "--log", "warn", "--data"])
            .arg(data)
            .args(["--listen", "127.0.0.1:0", "--listen-tls", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The greeting is printed when it is ready; a program that ends instead closes its output.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut greeting = String::new();
        for line in lines.by_ref() {
            let line = line.unwrap();
            greeting.push_str(&line);
            greeting.push('\n');
            if line.trim_start().starts_with("data") {
                break;
            }
        }
        assert!(greeting.contains("is ready"), "the server did not start: {greeting}");
        // What comes after is short and waits in the pipe; it is read so that the server never blocks on it.
        let rest = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>());
        drop(rest);
        let address = |scheme: &str| {
            let words = greeting.split_whitespace();
            words.filter(|word| word.starts_with(scheme)).map(str::to_owned).next().unwrap()
        };
        let running = Running { url: address("http://"), tls_url: address("https://"), child, greeting };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !running.cli(None, &["status"]).stdout.starts_with(b"what") {
            assert!(Instant::now() < deadline, "not ready");
        }
        running
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A command against this server, as whoever the token belongs to.
    pub(crate) fn cli(&self, token: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = program();
        command.env("CRANNOG_HOST", &self.url).args(arguments);
        if let Some(token) = token {
            command.env("CRANNOG_TOKEN", token);
        }
        command.output().unwrap()
    }

    /// The standard output of a command that must succeed.
    pub(crate) fn ok(&self, token: &str, arguments: &[&str]) -> String {
        let done = self.cli(Some(token), arguments);
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and its end.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        terminate(self.child.id());
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server did not stop");
            std::thread::yield_now();
        }
    }
}

fn terminate(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The administrator's token.
pub(crate) fn admin_token(data: &Path) -> String {
    std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned()
}

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// GET without a token: status and JSON, over plain HTTP/1.1.
pub(crate) fn get(url: &str, path: &str) -> (u16, Value) {
    use std::io::{Read, Write};
    let address = url.strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
}
