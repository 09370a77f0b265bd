"""The metastore's summary through databricks-sdk."""


def test_the_summary_names_the_metastore(admin):
    summary = admin.client.metastores.summary()
    assert summary.metastore_id and summary.name and summary.owner


def test_the_current_assignment_is_this_metastore(admin):
    current = admin.client.metastores.current()
    assert current.metastore_id == admin.client.metastores.summary().metastore_id
    assert current.workspace_id == admin.client.get_workspace_id()
