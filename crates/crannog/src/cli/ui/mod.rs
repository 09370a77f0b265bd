//! `crannog ui`: pages of others that the server shows, put into its data folder.
//!
//! It goes without a server: who can write the data folder owns the installation anyway. A server that runs on it shows what was
//! added from its next answer on. Nothing is downloaded: the pages come out of an mlflow that somebody installed.

mod installed;
mod wheel;

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use crannog_security::{System, Task};
use crannog_storage::{External, Storage};
use crannog_tracking::service::ui;

use super::Failure;
use crate::output::say;
use crate::server::DataFolder;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Adds MLflow's own pages, at /mlflow/, from an installed mlflow; those that were there before go.
    Add {
        /// Which pages.
        pages: Pages,
        /// The Python that mlflow is installed for.
        #[arg(long, value_name = "PYTHON", default_value = "python3", conflicts_with = "wheel")]
        python: PathBuf,
        /// A wheel of mlflow instead.
        #[arg(long, value_name = "FILE")]
        wheel: Option<PathBuf>,
        #[command(flatten)]
        of: Of,
    },
    /// Lists the pages that were added.
    List {
        #[command(flatten)]
        of: Of,
    },
    /// Removes pages.
    Remove {
        /// Which pages.
        pages: Pages,
        #[command(flatten)]
        of: Of,
    },
}

#[derive(clap::Args)]
struct Of {
    /// The data folder of the server.
    #[arg(long, value_name = "DIR", default_value = "./crannog-data")]
    data: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pages {
    /// MLflow's.
    Mlflow,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    #[expect(clippy::disallowed_methods, reason = "who can write the data folder owns the installation")]
    let owner = System::task(Task::Install);
    match args.what {
        What::Add { pages: Pages::Mlflow, python, wheel, of } => {
            let (folder, storage) = open(&of.data)?;
            let build = match &wheel {
                Some(wheel) => wheel::read(wheel)?,
                None => installed::read(&python)?,
            };
            let version = build.version.clone();
            ui::add(&storage, &owner, build).await?;
            drop(folder);
            say(&format!("the pages of mlflow {version} are at /mlflow/ of the server on {}", of.data.display()))
        }
        What::List { of } => {
            let (_folder, storage) = open(&of.data)?;
            match ui::current(&storage, &owner).await? {
                Some(version) => say(&format!("mlflow {version}")),
                None => Ok(()),
            }
        }
        What::Remove { pages: Pages::Mlflow, of } => {
            let (_folder, storage) = open(&of.data)?;
            match ui::remove(&storage, &owner).await? {
                Some(_) => Ok(()),
                None => Err(Failure::new(format!(
                    "no pages of mlflow are in {}; --data names the folder that `crannog up` was given",
                    of.data.display()
                ))),
            }
        }
    }
}

/// The data folder of an installation, beside its server.
fn open(data: &Path) -> Result<(DataFolder, Storage), Failure> {
    let folder = DataFolder::beside(data)?;
    let storage =
        Storage::new(folder.path(), External::Nowhere).map_err(|error| Failure::new(crate::server::chain(&error)))?;
    Ok((folder, storage))
}
