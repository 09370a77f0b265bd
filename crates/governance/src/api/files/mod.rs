//! The Files API: files and directories of volumes.
//!
//! Bytes go through in pieces; nothing here holds a file in memory. Paths come decoded once by kit and are decoded no
//! further; what a path may name below its volume is `storage`'s rule, and there is no way around it.

mod directories;
mod objects;
mod paths;
pub mod serving;
mod times;
mod uploads;

use std::sync::Arc;

use crannog_kit::Registry;

use crate::Governance;
use crate::service::files::Downloads;

pub(super) fn endpoints(registry: &mut Registry, governance: &Governance) {
    let of = || governance.clone();
    registry.add(objects::PutFile(of()));
    registry.add(objects::GetFile(of(), Downloads::default()));
    registry.add(objects::HeadFile(of()));
    registry.add(objects::DeleteFile(of()));
    registry.add(directories::CreateDirectory(of()));
    registry.add(directories::HeadDirectory(of()));
    registry.add(directories::ListDirectory(of()));
    registry.add(directories::DeleteDirectory(of()));
    let places = Arc::new(uploads::Places::default());
    registry.add(uploads::ChangeUpload(of(), Arc::clone(&places)));
    registry.add(uploads::CreateUploadPartUrls(of(), Arc::clone(&places)));
    registry.add(uploads::PutUploadPart(of(), places));
}
