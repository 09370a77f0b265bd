"""Warehouses through databricks-sdk: one is there from the start, more can be made; stopping cancels nothing that runs."""

import pytest
from databricks.sdk.errors import NotFound, ResourceDoesNotExist
from databricks.sdk.service.sql import State
from harness import unique


def test_the_default_warehouse_is_there_and_runs(admin):
    found = {w.name: w for w in admin.client.warehouses.list()}
    assert found["default"].id and found["default"].state == State.RUNNING
    assert admin.client.warehouses.get(found["default"].id).name == "default"


def test_a_warehouse_is_made_changed_stopped_started_and_deleted(admin):
    api, name = admin.client.warehouses, unique("wh")
    made = api.create_and_wait(name=name, cluster_size="2X-Small", max_num_clusters=1, auto_stop_mins=10)
    assert (made.name, made.cluster_size, made.auto_stop_mins, made.state) == (name, "2X-Small", 10, State.RUNNING)
    api.edit(made.id, name=f"{name}_b", cluster_size="Small", max_num_clusters=1)
    assert api.get(made.id).name == f"{name}_b"
    assert api.stop_and_wait(made.id).state == State.STOPPED
    assert api.start_and_wait(made.id).state == State.RUNNING
    api.delete(made.id)
    with pytest.raises((NotFound, ResourceDoesNotExist)):
        api.get(made.id)
