//! `crannog files`: the files of volumes, over the Files API.
//!
//! The server decides who may; here is only which file goes where. Nothing is replaced, here or there, unless that is said, and a
//! download that ends early leaves no file under the name that was asked for.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use crannog_types::Micros;
use serde_json::Value;

use super::{ConnectArgs, Environment, Failure};
use crate::client::{Asked, Client, escaped};
use crate::output::{self, Column, Format, Rows, shown};

const FILES: &str = "/api/2.0/fs/files";
const DIRECTORIES: &str = "/api/2.0/fs/directories";

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connect: ConnectArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Uploads a file; folders on the way are made. Prints where it is then.
    Put {
        /// A file of this machine.
        file: PathBuf,
        /// /Volumes/CATALOG/SCHEMA/VOLUME/…: the file's path there, or a folder's, where it keeps its name.
        to: String,
        /// Replaces a file that is there.
        #[arg(long)]
        overwrite: bool,
    },
    /// Downloads a file. Prints where it is then.
    Get {
        /// /Volumes/CATALOG/SCHEMA/VOLUME/…/FILE
        path: String,
        /// Where to: a file or a folder of this machine.
        #[arg(default_value = ".")]
        to: PathBuf,
        /// Replaces a file that is there.
        #[arg(long)]
        overwrite: bool,
    },
    /// Lists a folder.
    List {
        /// /Volumes/CATALOG/SCHEMA/VOLUME, and folders in it.
        path: String,
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        output: Format,
    },
    /// Deletes a file.
    Delete {
        /// /Volumes/CATALOG/SCHEMA/VOLUME/…/FILE
        path: String,
    },
}

pub(super) async fn run(args: Args, environment: &Environment) -> Result<(), Failure> {
    let client = args.connect.connect(environment).client()?;
    match args.what {
        What::Put { file, to, overwrite } => put(&client, &file, &to, overwrite).await,
        What::Get { path, to, overwrite } => get(&client, &path, &to, overwrite).await,
        What::List { path, output } => list(&client, &path, output).await,
        What::Delete { path } => {
            client.delete(&route(FILES, &path)?).await?;
            Ok(())
        }
    }
}

/// The address of a path below a route.
fn route(below: &str, path: &str) -> Result<String, Failure> {
    if !path.starts_with("/Volumes/") {
        return Err(Failure::new(format!(
            "{path:?} is not a path of a volume; paths look like /Volumes/<catalog>/<schema>/<volume>/<folders and files>"
        )));
    }
    let parts: Vec<String> = path.trim_end_matches('/').split('/').map(escaped).collect();
    Ok(format!("{below}{}", parts.join("/")))
}

fn unreadable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("{} cannot be read: {error}", file.display()))
}

async fn put(client: &Client, file: &Path, to: &str, overwrite: bool) -> Result<(), Failure> {
    let opened = tokio::fs::File::open(file).await.map_err(|error| unreadable(file, &error))?;
    if !opened.metadata().await.map_err(|error| unreadable(file, &error))?.is_file() {
        return Err(Failure::new(format!("{} is not a file; files are uploaded one by one", file.display())));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let target = if to.ends_with('/') || is_folder(client, to).await? {
        format!("{}/{name}", to.trim_end_matches('/'))
    } else {
        to.to_owned()
    };
    client.put_file(&format!("{}?overwrite={overwrite}", route(FILES, &target)?), opened).await.map_err(|asked| {
        match asked {
            Asked::Refused(refused) if refused.status == 409 => {
                Failure::new(format!("{}; --overwrite replaces it", refused.message))
            }
            other => Failure::from(other),
        }
    })?;
    output::say(&shown(&target))
}

/// Whether a folder is there, as far as the caller may know. Who may write and not read names the file.
async fn is_folder(client: &Client, path: &str) -> Result<bool, Failure> {
    let (status, _) = client.look(&format!("{}?page_size=1", route(DIRECTORIES, path)?)).await?;
    Ok(status == 200)
}

async fn get(client: &Client, path: &str, to: &Path, overwrite: bool) -> Result<(), Failure> {
    let from = route(FILES, path)?;
    let target = match path.rsplit('/').next() {
        Some(name) if to.is_dir() => to.join(name),
        _ => to.to_owned(),
    };
    if !overwrite && target.exists() {
        return Err(Failure::new(format!("{} is there already; --overwrite replaces it", target.display())));
    }
    let mut partial = target.clone().into_os_string();
    partial.push(format!(".{}.part", std::process::id()));
    let partial = PathBuf::from(partial);
    let written = |error: std::io::Error| Failure::new(format!("{} cannot be written: {error}", target.display()));
    let mut file = tokio::fs::File::create_new(&partial).await.map_err(written)?;
    let got = match client.get_file(&from, &mut file).await {
        Ok(()) => tokio::fs::rename(&partial, &target).await.map_err(written),
        Err(asked) => Err(Failure::from(asked)),
    };
    if got.is_err() {
        let _ = tokio::fs::remove_file(&partial).await;
    }
    got?;
    output::say(&target.display().to_string())
}

async fn list(client: &Client, path: &str, format: Format) -> Result<(), Failure> {
    let mut rows: Rows = Vec::new();
    let mut token = String::new();
    loop {
        let page = client.get(&format!("{}?page_token={}", route(DIRECTORIES, path)?, escaped(&token))).await?;
        for entry in page.get("contents").and_then(Value::as_array).into_iter().flatten() {
            let folder = entry.get("is_directory").and_then(Value::as_bool).unwrap_or(false);
            let name = entry.get("name").and_then(Value::as_str).unwrap_or_default();
            let modified = entry.get("last_modified").and_then(Value::as_i64).map(|millis| millis.saturating_mul(1000));
            rows.push(vec![
                Some(format!("{name}{}", if folder { "/" } else { "" })),
                entry.get("file_size").and_then(Value::as_u64).map(|size| size.to_string()),
                modified.map(|micros| Micros(micros).to_string()),
            ]);
        }
        match page.get("next_page_token").and_then(Value::as_str) {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => break,
        }
    }
    let size = Column { name: "size".to_owned(), bare: true };
    output::rows(format, &[Column::text("name"), size, Column::text("modified")], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_volume_is_one_address() {
        assert_eq!(
            route(FILES, "/Volumes/main/s/v/a b/ü.csv").unwrap(),
            "/api/2.0/fs/files/Volumes/main/s/v/a%20b/%C3%BC%2Ecsv"
        );
        assert_eq!(route(DIRECTORIES, "/Volumes/main/s/v/").unwrap(), "/api/2.0/fs/directories/Volumes/main/s/v");
        for bad in ["people.csv", "/tmp/people.csv", "Volumes/main/s/v/x"] {
            assert!(route(FILES, bad).unwrap_err().to_string().contains("not a path of a volume"), "{bad}");
        }
    }
}
