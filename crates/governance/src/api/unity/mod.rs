//! Unity Catalog's REST, as its open-source server and Databricks speak it.
//!
//! One store, two renderings (`docs/access.md`): privileges are spelled as the client's own models want them, and words
//! that the open-source client fails on are never sent to it. Every field of an object is always there, null when there is
//! nothing to say: some clients take a missing field for an error.

mod catalogs;
mod columns;
mod credentials;
mod delta;
mod metastore;
pub mod names;
mod permissions;
mod schemas;
mod tables;
mod volumes;
mod wire;

use crannog_kit::Registry;

use crate::Governance;

pub(super) use names::full_name;

pub(super) fn endpoints(registry: &mut Registry, governance: &Governance) {
    let of = || governance.clone();
    registry.add(catalogs::ListCatalogs(of()));
    registry.add(catalogs::CreateCatalog(of()));
    registry.add(catalogs::GetCatalog(of()));
    registry.add(catalogs::UpdateCatalog(of()));
    registry.add(catalogs::DeleteCatalog(of()));
    registry.add(schemas::ListSchemas(of()));
    registry.add(schemas::CreateSchema(of()));
    registry.add(schemas::GetSchema(of()));
    registry.add(schemas::UpdateSchema(of()));
    registry.add(schemas::DeleteSchema(of()));
    registry.add(delta::LoadDeltaTable);
    registry.add(tables::ListTables(of()));
    registry.add(tables::ListTableSummaries(of()));
    registry.add(tables::CreateTable(of()));
    registry.add(tables::GetTable(of()));
    registry.add(tables::TableExists);
    registry.add(tables::UpdateTable(of()));
    registry.add(tables::DeleteTable(of()));
    registry.add(volumes::ListVolumes(of()));
    registry.add(volumes::CreateVolume(of()));
    registry.add(volumes::GetVolume(of()));
    registry.add(volumes::UpdateVolume(of()));
    registry.add(volumes::DeleteVolume(of()));
    registry.add(permissions::GetPermissions(of()));
    registry.add(permissions::UpdatePermissions(of()));
    registry.add(permissions::GetEffectivePermissions(of()));
    registry.add(metastore::GetMetastoreSummary(of()));
    registry.add(metastore::GetCurrentMetastoreAssignment(of()));
    registry.add(metastore::GetDefaultNamespace);
    registry.add(metastore::ListFunctions);
    registry.add(credentials::GenerateTemporaryTableCredential(of()));
    registry.add(credentials::GenerateTemporaryVolumeCredential(of()));
    registry.add(credentials::GenerateTemporaryPathCredential(of()));
}
