//! What holds a credential cannot be printed: a log line or a panic that prints a value whole tells nothing.

use std::path::Path;

use crannog_kit::Credentials;
use crannog_store::testing::Kind;

use crate::world::World;

/// Fields that hold what only its owner may know.
const FIELDS: [&str; 15] = [
    "password",
    "again",
    "secret",
    "client_secret",
    "token",
    "token_value",
    "access_token",
    "refresh_token",
    "string_value",
    "bytes_value",
    "code",
    "code_verifier",
    "setup_url",
    "proof",
    "session",
];

struct Declared {
    name: String,
    /// Whether Debug is derived.
    printed: bool,
    /// Name and type.
    fields: Vec<(String, String)>,
}

/// The structs of a source file.
fn structs(text: &str) -> Vec<Declared> {
    let mut found: Vec<Declared> = Vec::new();
    let (mut printed, mut inside) = (false, false);
    for line in text.lines() {
        let code = line.trim();
        let declared =
            code.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
        if code.starts_with("#[derive(") {
            printed = code.contains("Debug");
        } else if let Some(rest) = declared.strip_prefix("struct ") {
            let name = rest.split([' ', '(', '<', '{', ';']).next().unwrap().to_owned();
            found.push(Declared { name, printed, fields: Vec::new() });
            (inside, printed) = (code.ends_with('{'), false);
        } else if code == "}" {
            inside = false;
        } else if let Some((name, kind)) = declared.split_once(": ").filter(|_| inside && !code.starts_with("//")) {
            found.last_mut().unwrap().fields.push((name.to_owned(), kind.trim_end_matches(',').to_owned()));
        }
    }
    found
}

#[test]
fn no_struct_with_a_credential_can_be_printed() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let (mut holders, mut wrong) = (0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for Declared { name, printed, fields } in structs(&std::fs::read_to_string(&path).unwrap()) {
                let text = |kind: &str| ["String", "Option<String>"].contains(&kind);
                if fields.iter().any(|(field, kind)| FIELDS.contains(&field.as_str()) && text(kind)) {
                    holders += 1;
                    wrong.extend(printed.then(|| format!("{} {name}", path.display())));
                }
            }
        }
    }
    assert!(holders >= 8, "only {holders} structs were found to hold a credential");
    assert_eq!(wrong, Vec::<String>::new(), "these hold a credential and derive Debug");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_print_as_nothing() {
    let world = World::start(Kind::Sqlite).await;
    let token = world.admin();
    let code = world.first.setup_code.reveal();
    let bearer = Credentials::Bearer(token.clone());
    let basic = Credentials::Basic { user: "admin".to_owned(), password: token.clone() };
    for printed in [format!("{:?}", world.first), format!("{bearer:?} {basic:?}"), format!("{:#?}", world.first)] {
        assert!(!printed.contains(&token) && !printed.contains(code), "{printed}");
    }
    world.stop().await;
}
