//! What the generated tests know besides the OpenAPI document: the least grants of each action, and the exceptions.
//!
//! The grants are a second reading of `docs/access.md`, not of the program's table of actions. Every exception says why; a
//! list of them may only shrink, and an entry that is not needed fails the test.

use super::world::Grant;

const USE: [Grant; 2] = [Grant::On("catalog", "USE_CATALOG"), Grant::On("schema", "USE_SCHEMA")];

/// The least that must be granted for an action.
pub(super) fn least(action: &str) -> Option<Vec<Grant>> {
    let gated = |grant: Grant| [USE.to_vec(), vec![grant]].concat();
    Some(match action {
        "metastore.read" | "metastore.work" => Vec::new(),
        "metastore.create_catalog" => vec![Grant::On("metastore", "CREATE_CATALOG")],
        "metastore.administer" => vec![Grant::Administrator],
        "catalogs.read_metadata" | "securables.read_grants" => vec![Grant::On("catalog", "BROWSE")],
        "catalogs.create_schema" => vec![USE[0], Grant::On("catalog", "CREATE_SCHEMA")],
        "catalogs.manage" | "securables.grant" => vec![Grant::On("catalog", "MANAGE")],
        "schemas.read_metadata" => USE.to_vec(),
        "schemas.create_table" => gated(Grant::On("schema", "CREATE_TABLE")),
        "schemas.create_volume" => gated(Grant::On("schema", "CREATE_VOLUME")),
        "schemas.create_model" => gated(Grant::On("schema", "CREATE_MODEL")),
        "schemas.manage" => vec![USE[0], Grant::On("schema", "MANAGE")],
        "tables.read_metadata" | "tables.select" => gated(Grant::On("table", "SELECT")),
        "tables.manage" => gated(Grant::On("table", "MANAGE")),
        "volumes.read_metadata" | "volumes.read" => gated(Grant::On("volume", "READ_VOLUME")),
        "volumes.write" => gated(Grant::On("volume", "WRITE_VOLUME")),
        "volumes.manage" => gated(Grant::On("volume", "MANAGE")),
        "models.read_metadata" | "models.execute" => gated(Grant::On("registered_model", "EXECUTE")),
        "models.create_version" => gated(Grant::On("registered_model", "CREATE_MODEL_VERSION")),
        "models.tag" => gated(Grant::On("registered_model", "APPLY_TAG")),
        "models.manage" => gated(Grant::On("registered_model", "MANAGE")),
        "warehouses.view" => vec![Grant::Warehouse("CAN_VIEW")],
        "warehouses.use" => vec![Grant::Warehouse("CAN_USE")],
        "warehouses.manage" => vec![Grant::Warehouse("CAN_MANAGE")],
        "experiments.read" | "runs.read" | "logged_models.read" => vec![Grant::Experiment("CAN_READ")],
        "experiments.edit" | "runs.edit" | "logged_models.edit" => vec![Grant::Experiment("CAN_EDIT")],
        "experiments.manage" => vec![Grant::Experiment("CAN_MANAGE")],
        "secret_scopes.read" => vec![Grant::Scope("READ")],
        "secret_scopes.write" => vec![Grant::Scope("WRITE")],
        "secret_scopes.manage" => vec![Grant::Scope("MANAGE")],
        _ => return None,
    })
}

/// Routes that ask for more than one thing, or for what only the request says: what the example needs.
pub(super) const ASKS: &[(&str, &[&str])] = &[
    ("CreateTable", &["schemas.create_table", "metastore.administer"]),
    ("CreateVolume", &["schemas.create_volume"]),
    ("GenerateTemporaryTableCredential", &["tables.select"]),
    ("GenerateTemporaryVolumeCredential", &["volumes.read"]),
    ("GenerateTemporaryPathCredential", &["volumes.read"]),
    ("TableExists", &["tables.read_metadata"]),
    ("ListCatalogs", &["catalogs.read_metadata"]),
    ("ListTableSummaries", &["tables.read_metadata"]),
    ("ListModels", &["models.read_metadata"]),
    ("SearchUnityModels", &["models.read_metadata"]),
    ("SearchUnityVersions", &["models.read_metadata"]),
    ("SearchRegisteredModels", &["models.read_metadata"]),
    ("SearchModelVersions", &["models.read_metadata"]),
    ("GenerateUnityVersionCredentials", &["models.execute"]),
    ("SearchExperiments", &["experiments.read"]),
    ("SearchExperimentsByGet", &["experiments.read"]),
    ("SearchRuns", &["experiments.read"]),
    ("SearchLoggedModels", &["experiments.read"]),
    ("PutArtifact", &["runs.edit"]),
    ("GetArtifact", &["runs.read"]),
    ("DeleteArtifact", &["runs.edit"]),
    ("ListArtifactsBelow", &["runs.read"]),
    ("SearchDatasets", &["experiments.read"]),
    ("QueryMlflowPages", &["runs.read"]),
    ("ImportRegisteredModel", &["schemas.create_model", "metastore.administer"]),
];

/// Routes that answer 200 with less to whoever is granted less: the text that is there only for those who may.
pub(super) const SHOWN: &[(&str, &str)] = &[
    ("ListCatalogs", "analytics"),
    ("ListSchemas", "sales"),
    ("ListTables", "orders"),
    ("ListTableSummaries", "orders"),
    ("ListVolumes", "landing"),
    ("ListModels", "delays"),
    ("SearchRegisteredModels", "delays"),
    ("SearchModelVersions", "delays"),
    ("SearchUnityModels", "delays"),
    ("SearchUnityVersions", "delays"),
    ("ListWarehouses", "0198a00000007003"),
    ("ListScopes", "vendor-keys"),
    ("SearchExperiments", "late-flights"),
    ("SearchExperimentsByGet", "late-flights"),
    ("SearchLoggedModels", "m-feed0123feed0123feed0123feed0123"),
    ("SearchRuns", "c0ffee00c0ffee00c0ffee00c0ffee00"),
    ("SearchDatasets", "flights-2024"),
    ("QueryMlflowPages", "late-flights"),
    ("TableExists", "\"table_exists\":true"),
];

/// Routes whose example is not answered with success, and why.
pub(super) const NO_SUCCESS: &[(&str, u16, &str)] = &[
    ("LoadDeltaTable", 400, "clients of the Delta API are sent to the tables API, whatever the table"),
    ("GetMlflowPage", 404, "nobody has added MLflow's pages; tests/clients/pages/test_mlflow_ui.py does"),
    ("GetMlflowPageFile", 404, "the same"),
];

/// Routes that answer a stranger about what is there otherwise than about what is not, and why.
pub(super) const KNOWN_TO_ALL: &[(&str, &str)] = &[
    ("GetUser", "who is signed in may look up users: grants are given to names"),
    ("GetGroup", "the same for groups"),
    ("GetServicePrincipal", "the same for service principals"),
];

/// Routes that change without one audit row of their own, and why.
pub(super) const NOT_ONE_ROW: &[(&str, usize, &str)] = &[
    ("CreateGroup", 2, "the group, and the one member that the example has"),
    ("ReplaceGroup", 2, "the same"),
    ("PatchGroup", 2, "the same"),
    ("BeginModelUpload", 0, "nothing is begun: files of models are sent as one"),
    ("GetLatestVersions", 0, "a look changes nothing; old clients of MLflow send it by POST"),
    ("SearchExperiments", 0, "a search changes nothing; MLflow's clients send it by POST"),
    ("SearchRuns", 0, "the same"),
    ("SearchLoggedModels", 0, "the same"),
    ("SearchDatasets", 0, "the same"),
    ("QueryMlflowPages", 0, "the same"),
    ("KnownRuns", 0, "it asks what is here; the list may be long, so it comes by POST"),
    ("MissingFiles", 0, "the same"),
    ("ExecuteStatement", 0, "a statement is a row of system.query.history; what it changes has rows of its own"),
];
