//! `crannog up` and the commands, as people meet them.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use super::running::{Running, admin_token, get, program};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_first_start_makes_all_that_is_needed_and_the_next_finds_it() {
    let scratch = tempfile::tempdir().unwrap();
    let data = scratch.path().join("data");
    let server = Running::up(&data);
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(""), mode("admin.token"), mode("tls/ca.key")), (0o700, 0o600, 0o600));
    assert!(!data.join("first-start").exists());
    let token = admin_token(&data);
    let catalogs = server.ok(&token, &["sql", "--output", "csv", "-e", "SHOW CATALOGS"]);
    assert!(catalogs.lines().any(|line| line == "main"), "{catalogs}");
    let groups = server.ok(&token, &["group", "list", "--output", "json"]);
    assert!(groups.contains("\"account users\""), "{groups}");
    assert!(server.stop().success());
    // All of it is in one file then.
    assert_eq!(std::fs::metadata(data.join("meta.db-wal")).map_or(0, |log| log.len()), 0);
    let server = Running::up(&data);
    assert!(!server.greeting.contains("first start"));
    assert_eq!(admin_token(&data), token);
    server.ok(&token, &["sql", "-e", "SELECT 1; SELECT 2"]);
}

#[test]
fn a_person_is_made_and_put_out_again() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let admin = admin_token(scratch.path());
    server.ok(&admin, &["user", "create", "ana@example.com", "--display-name", "Ana"]);
    server.ok(&admin, &["group", "create", "analysts"]);
    server.ok(&admin, &["group", "add", "analysts", "ana@example.com"]);
    let groups = server.ok(&admin, &["group", "list", "--output", "csv"]);
    assert!(groups.contains("analysts"), "{groups}");
    let made = server.ok(&admin, &["token", "create", "--user", "ana@example.com"]);
    assert_eq!(made.lines().count(), 1);
    let ana = made.trim();
    assert_eq!(
        server.ok(ana, &["sql", "--output", "csv", "-e", "SELECT current_user() AS me"]).lines().nth(1),
        Some("ana@example.com")
    );
    let refused = server.cli(Some(ana), &["user", "create", "x@example.com"]);
    assert!(!refused.status.success());
    let why = server.cli(Some(ana), &["explain", "CREATE_CATALOG", "metastore"]);
    assert_eq!(why.status.code(), Some(1));
    assert!(text(&why.stdout).contains("may not"), "{}", text(&why.stdout));
    let listed = server.ok(ana, &["token", "list", "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    server.ok(ana, &["token", "revoke", listed[0]["token_id"].as_str().unwrap()]);
    assert!(!server.cli(Some(ana), &["token", "list"]).status.success());
    server.ok(&admin, &["user", "delete", "ana@example.com"]);
}

#[test]
fn somebody_gets_a_link_to_set_a_password_with() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let admin = admin_token(scratch.path());
    server.ok(&admin, &["user", "create", "ana@example.com"]);
    let link = server.ok(&admin, &["user", "setup-link", "ana@example.com"]);
    assert!(link.starts_with(&format!("{}/setup?code=", server.url)) && link.lines().count() == 1, "{link}");
    let refused = server.cli(Some(&admin), &["user", "setup-link", "nobody@example.com"]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("nobody@example.com"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn files_go_into_a_volume_and_come_back() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(&scratch.path().join("data"));
    let admin = admin_token(&scratch.path().join("data"));
    server.ok(&admin, &["sql", "-e", "CREATE SCHEMA main.people; CREATE VOLUME main.people.raw"]);
    let at = |name: &str| scratch.path().join(name).display().to_string();
    let (here, back) = (at("ada & bo.csv"), at("back.csv"));
    std::fs::write(&here, "id,name\n1,Ada\n").unwrap();
    let refused = |arguments: &[&str], why: &str| {
        let done = server.cli(Some(&admin), arguments);
        assert!(
            done.status.code() == Some(1) && text(&done.stderr).contains(why),
            "{arguments:?}: {}",
            text(&done.stderr)
        );
    };
    let volume = "/Volumes/main/people/raw";
    // The volume itself, a folder that is made by its slash, a name.
    let there = format!("{volume}/ada & bo.csv");
    assert_eq!(server.ok(&admin, &["files", "put", &here, volume]).trim(), there);
    let in_folder = format!("{volume}/new/er/");
    assert_eq!(server.ok(&admin, &["files", "put", &here, &in_folder]).trim(), format!("{in_folder}ada & bo.csv"));
    let named = format!("{volume}/other.csv");
    assert_eq!(server.ok(&admin, &["files", "put", &here, &named]).trim(), named);
    refused(&["files", "put", &here, &named], "--overwrite");
    std::fs::write(&here, "id,name\n2,Bo\n").unwrap();
    server.ok(&admin, &["files", "put", &here, &named, "--overwrite"]);
    let listed = server.ok(&admin, &["files", "list", volume, "--output", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["ada & bo.csv", "new/", "other.csv"]);
    assert_eq!((&listed[0]["size"], &listed[1]["size"]), (&14.into(), &serde_json::Value::Null));
    assert_eq!(server.ok(&admin, &["files", "get", &named, &back]).trim(), back);
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "id,name\n2,Bo\n");
    refused(&["files", "get", &there, &back], "--overwrite");
    server.ok(&admin, &["files", "get", &there, &back, "--overwrite"]);
    assert_eq!(std::fs::read_to_string(&back).unwrap(), "id,name\n1,Ada\n");
    server.ok(&admin, &["files", "delete", &there]);
    refused(&["files", "get", &there, &at("none.csv")], "ada & bo.csv");
    refused(&["files", "put", &at("nothing.csv"), volume], "cannot be read");
    refused(&["files", "put", &at(""), volume], "is not a file");
    refused(&["files", "list", "people.csv"], "not a path of a volume");
    let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter().all(|name| !name.to_string_lossy().ends_with(".part"))
            && !left.iter().any(|name| name == "none.csv"),
        "{left:?}"
    );
}

#[test]
fn what_is_no_source_of_an_import_is_told_what_would_be() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(&scratch.path().join("data"));
    let admin = admin_token(&scratch.path().join("data"));
    let at = |name: &str| scratch.path().join(name).display().to_string();
    std::fs::write(at("people.csv"), "id,name\n1,Ada\n").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("folder/mlflow.db"), "").unwrap();
    for (source, why) in [
        (at("people.csv"), "no database of SQLite"),
        (at("folder"), "folder/mlflow.db?"),
        (at("folder/mlflow.db"), "no tables of MLflow"),
        ("http://127.0.0.1:5000".to_owned(), "--backend-store-uri"),
    ] {
        let refused = server.cli(Some(&admin), &["import", "mlflow", &source]);
        assert!(
            refused.status.code() == Some(1) && text(&refused.stderr).contains(why),
            "{source}: {}",
            text(&refused.stderr)
        );
    }
}

#[test]
fn a_statement_in_the_place_of_a_file_is_told_where_statements_go() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let admin = admin_token(scratch.path());
    let refused = server.cli(Some(&admin), &["sql", "SELECT 1"]);
    assert!(
        refused.status.code() == Some(1) && text(&refused.stderr).contains("crannog sql -e"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn a_second_server_on_a_folder_is_refused_with_the_pid_of_the_first() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let second = program().args(["up", "--data"]).arg(scratch.path()).output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    assert!(said.contains(&format!("pid {}", server.pid())), "{said}");
}

#[test]
fn a_taken_port_is_told_with_its_pid_and_the_flag() {
    let scratch = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data = scratch.path().join("new");
    let refused = program().args(["up", "--listen", &address, "--data"]).arg(&data).output().unwrap();
    let said = text(&refused.stderr);
    assert!(said.contains(&format!("pid {}", std::process::id())) && said.contains("--listen"), "{said}");
    assert!(!data.exists(), "a refused start leaves no data folder");
}

#[test]
fn plain_http_beyond_this_machine_has_to_be_asked_for() {
    let refused = program().args(["up", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert!(text(&refused.stderr).contains("--allow-plain-http"));
}

#[test]
fn a_lost_token_is_replaced_on_the_machine_while_the_server_runs_and_while_it_does_not() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let replace = || {
        let made = program().args(["token", "create", "--admin", "--data"]).arg(scratch.path()).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert_eq!(text(&made.stdout).trim(), admin_token(scratch.path()));
        text(&made.stdout).trim().to_owned()
    };
    let (first, second) = (admin_token(scratch.path()), replace());
    assert_ne!(first, second);
    server.ok(&second, &["user", "list"]);
    assert!(server.stop().success());
    let third = replace();
    let server = Running::up(scratch.path());
    for token in [first, second, third] {
        server.ok(&token, &["user", "list"]);
    }
}

#[test]
fn a_newer_folder_is_refused_with_the_copy_from_before() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(Running::up(scratch.path()).stop().success());
    super::workspace::newer_migration(&scratch.path().join("meta.db"));
    std::fs::write(scratch.path().join("meta.db.before-99"), "").unwrap();
    let refused = program()
        .args(["up", "--listen", "127.0.0.1:0", "--listen-tls", "off", "--data"])
        .arg(scratch.path())
        .output()
        .unwrap();
    let said = text(&refused.stderr);
    assert!(said.contains("newer version") && said.contains("meta.db.before-99"), "{said}");
}

#[test]
fn what_was_acknowledged_before_a_kill_is_there_after_it() {
    let scratch = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for round in 0..3 {
        let server = Running::up(scratch.path());
        let token = admin_token(scratch.path());
        if round == 0 {
            server.ok(&token, &["sql", "-e", "CREATE TABLE main.default.kept (n INT)"]);
        }
        let insert = format!("INSERT INTO main.default.kept VALUES ({round})");
        server.ok(&token, &["sql", "-e", &insert]);
        expected.push(round.to_string());
        server.kill();
    }
    let server = Running::up(scratch.path());
    let select = "SELECT n FROM main.default.kept ORDER BY n";
    let found = server.ok(&admin_token(scratch.path()), &["sql", "--output", "csv", "-e", select]);
    assert_eq!(found.lines().skip(1).collect::<Vec<_>>(), expected);
}

#[test]
fn https_is_there_for_who_trusts_the_authority_and_nobody_else() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let token = admin_token(scratch.path());
    let ask = |with: &[&str]| {
        program()
            .env("CRANNOG_HOST", &server.tls_url)
            .env("CRANNOG_TOKEN", &token)
            .args(["token", "list"])
            .args(with)
            .output()
            .unwrap()
    };
    let ca = scratch.path().join("tls/ca.crt");
    let done = ask(&["--ca-file", ca.to_str().unwrap()]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let refused = ask(&[]);
    assert!(!refused.status.success() && text(&refused.stderr).contains("crannog trust"), "{}", text(&refused.stderr));
}

#[test]
fn health_is_public_and_metrics_are_for_this_machine() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    for path in ["/livez", "/readyz"] {
        let (status, body) = get(&server.url, path);
        assert_eq!(status, 200, "{body}");
    }
    let (status, body) = get(&server.url, "/metrics");
    assert_eq!(status, 200);
    assert!(body.as_str().unwrap().contains("crannog_http_requests_total"));
    assert_eq!(get(&server.url, "/api/2.0/nothing").0, 404);
}

#[test]
fn a_full_disk_refuses_changes_and_goes_on_reading() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(Running::up(scratch.path()).stop().success());
    let token = admin_token(scratch.path());
    // More than any disk has: what a full disk is to a server with the usual limits.
    let limits = ["--disk-warn-below", "1000000TiB", "--disk-refuse-below", "1000000TiB"];
    let server = Running::with(scratch.path(), &limits);
    let (status, body) = get(&server.url, "/readyz");
    assert_eq!((status, body["status"].as_str()), (503, Some("failing")), "{body}");
    let refused = server.cli(Some(&token), &["user", "create", "x@example.com"]);
    assert!(text(&refused.stderr).contains("disk is full"), "{}", text(&refused.stderr));
    server.ok(&token, &["user", "list"]);
}

#[test]
fn the_bundle_says_how_each_client_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(Running::up(scratch.path()).stop().success());
    let done = program().args(["trust", "--data"]).arg(scratch.path()).stderr(Stdio::inherit()).output().unwrap();
    let said = text(&done.stdout);
    for word in ["REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE=", "_tls_trusted_ca_file", "NODE_EXTRA_CA_CERTS=", "keytool"] {
        assert!(said.contains(word), "{word} not in {said}");
    }
    assert!(scratch.path().join("tls/crannog-bundle.pem").is_file());
}

#[test]
fn a_token_that_is_not_accepted_is_told_by_where_it_came_from() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(scratch.path());
    let sql = server.cli(None, &["sql", "--token", "crg_wrong", "-e", "SELECT 1"]);
    assert!(text(&sql.stderr).contains("does not accept the token of --token"), "{}", text(&sql.stderr));
    let none = server.cli(None, &["sql", "-e", "SELECT 1"]);
    assert!(text(&none.stderr).contains("none was given"), "{}", text(&none.stderr));
    // A probe has no token and asks after the health alone; a wrong token is a failure.
    assert_eq!(server.cli(None, &["status"]).status.code(), Some(0));
    assert_eq!(server.cli(None, &["status", "--token", "crg_wrong"]).status.code(), Some(1));
}

#[test]
fn a_script_that_fails_says_in_which_statement() {
    let scratch = tempfile::tempdir().unwrap();
    let server = Running::up(&scratch.path().join("data"));
    let token = admin_token(&scratch.path().join("data"));
    let file = scratch.path().join("script.sql");
    std::fs::write(&file, "SET TIME ZONE 'Europe/Zurich';\n\nSELEC;\nSELECT 2").unwrap();
    let failed = server.cli(Some(&token), &["sql", file.to_str().unwrap()]);
    let said = text(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said.contains("script.sql, statement 2 of 3, which begins in line 3: [PARSE_SYNTAX_ERROR]"), "{said}");
    std::fs::write(&file, "SET TIME ZONE 'Europe/Zurich';\nSELECT current_timezone() AS zone").unwrap();
    let zone = server.ok(&token, &["sql", "--output", "csv", file.to_str().unwrap()]);
    assert!(zone.ends_with("zone\nEurope/Zurich\n"), "{zone}");
    let nowhere = server.cli(Some(&token), &["sql", "-e", "SET TIME ZONE 'Mars/Phobos'"]);
    assert!(text(&nowhere.stderr).contains("INVALID_TIMEZONE"), "{}", text(&nowhere.stderr));
    // The next step stands once.
    assert_eq!(said.matches("statements begin with").count(), 1, "{said}");
}
