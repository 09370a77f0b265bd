//! Files of runs and logged models that are on this machine, sent to the server in pieces, some at a time.

use std::collections::BTreeSet;
use std::path::Path;

use crannog_tracking::model::imports::File;
use futures::{StreamExt, TryStreamExt};
use serde_json::Value;

use super::places::{Place, Places};
use super::report::Report;
use super::source::{FILES, Holders, Source};
use super::{ROUTES, ask, unreadable};
use crate::cli::Failure;
use crate::client::{Asked, Client, escaped};

/// How many files are sent at a time.
const AT_ONCE: usize = 4;

/// Sends the files of runs and logged models of experiments that are here.
pub(super) async fn take_over(
    client: &Client,
    source: &mut Source,
    places: &Places,
    experiments: &BTreeSet<i64>,
    report: &mut Report,
) -> Result<(), Failure> {
    for of in [Holders::Runs, Holders::Models] {
        let mut last: Option<String> = None;
        loop {
            let homes = source.homes_behind(of, last.as_deref()).await?;
            let Some(end) = homes.last() else { break };
            last = Some(end.id.clone());
            let mut found = Vec::new();
            for home in homes {
                if !experiments.contains(&home.experiment) || home.address.is_empty() {
                    continue;
                }
                match places.files_of(&home.address, &home.id) {
                    Place::Here(folder) => walk(&folder, &of.root(&home.id), &mut found, report),
                    Place::Bucket => {}
                    Place::Unknown(why) => report.left(of.folders(), why, 1, &home.id),
                }
            }
            send_all(client, found, report).await?;
        }
    }
    Ok(())
}

/// A file of this machine, and what it is called there.
type Found = (std::path::PathBuf, File);

/// Finds the files in a folder. Links are not followed: they lead elsewhere.
fn walk(folder: &Path, holder: &str, found: &mut Vec<Found>, report: &mut Report) {
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((folder, above)) = open.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // A run that logged no file has no folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && above.is_empty() => return,
            Err(error) => {
                report.left("folders", &format!("they cannot be read: {error}"), 1, &folder.display().to_string());
                continue;
            }
        };
        for entry in entries.flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                report.left("files", "their names are not UTF-8", 1, &entry.path().display().to_string());
                continue;
            };
            let path = if above.is_empty() { name } else { format!("{above}/{name}") };
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => open.push((entry.path(), path)),
                Ok(meta) if meta.is_file() => {
                    let size = i64::try_from(meta.len()).unwrap_or(i64::MAX);
                    found.push((entry.path(), File { holder: holder.to_owned(), path, size }));
                }
                _ => report.left("files", "they are links or devices", 1, &entry.path().display().to_string()),
            }
        }
    }
}

async fn send_all(client: &Client, found: Vec<Found>, report: &mut Report) -> Result<(), Failure> {
    for some in found.chunks(FILES) {
        let files: Vec<&File> = some.iter().map(|(_, file)| file).collect();
        let mut answer = ask(client, "missing-files", "files", &files).await?;
        let missing = answer.get_mut("files").map(Value::take).unwrap_or_default();
        let missing: Vec<File> = serde_json::from_value(missing).map_err(unreadable)?;
        let missing: BTreeSet<(&str, &str)> =
            missing.iter().map(|file| (file.holder.as_str(), file.path.as_str())).collect();
        let wanted: Vec<&Found> =
            some.iter().filter(|(_, file)| missing.contains(&(file.holder.as_str(), file.path.as_str()))).collect();
        report.count("files", 0, (some.len() - wanted.len()) as u64);
        let sent: Vec<Option<(String, String)>> = futures::stream::iter(wanted)
            .map(|(from, file)| send(client, from, file))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        for one in sent {
            match one {
                None => report.count("files", 1, 0),
                Some((path, why)) => report.left("files", &why, 1, &path),
            }
        }
    }
    Ok(())
}

/// Sends a file; gives its path and the reason when the server does not take it.
async fn send(client: &Client, from: &Path, file: &File) -> Result<Option<(String, String)>, Failure> {
    let at: Vec<String> = file.path.split('/').map(escaped).collect();
    let path = format!("{ROUTES}/files/{}/{}", file.holder, at.join("/"));
    let named = format!("{}/{}", file.holder, file.path);
    let opened = match tokio::fs::File::open(from).await {
        Ok(opened) => opened,
        Err(error) => return Ok(Some((named, format!("they cannot be read: {error}")))),
    };
    match client.put_file(&path, opened).await {
        Ok(()) => Ok(None),
        Err(Asked::Refused(refused)) if matches!(refused.status, 400 | 404) => Ok(Some((named, refused.message))),
        Err(asked) => Err(asked.into()),
    }
}
