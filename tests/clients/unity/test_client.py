"""unitycatalog-client 0.7 (the open-source server's own Python client): catalogs, schemas, tables, volumes, permissions.

The client's specification has no security scheme, so it drops `access_token`; its users set the header themselves.
"""

import asyncio

import pytest
import unitycatalog.client as uc
from harness import unique


def run(server, who, work):
    """Runs `work(api)` with a signed-in client in an event loop of its own."""

    async def inside():
        async with uc.ApiClient(uc.Configuration(host=f"{server.url}/api/2.1/unity-catalog")) as api:
            api.default_headers["Authorization"] = f"Bearer {who.token}"
            return await work(api)

    return asyncio.run(inside())


def test_catalogs_and_schemas(server, admin):
    name = unique("cat")

    async def work(api):
        catalogs, schemas = uc.CatalogsApi(api), uc.SchemasApi(api)
        made = await catalogs.create_catalog(uc.CreateCatalog(name=name, comment="c", properties={"a": "b"}))
        assert (made.name, made.comment, made.properties) == (name, "c", {"a": "b"})
        schema = await schemas.create_schema(uc.CreateSchema(name="s", catalog_name=name))
        assert schema.full_name == f"{name}.s"
        assert name in {c.name for c in (await catalogs.list_catalogs()).catalogs}
        assert "s" in {s.name for s in (await schemas.list_schemas(name)).schemas}
        assert (await catalogs.update_catalog(name, uc.UpdateCatalog(comment="d"))).comment == "d"
        await schemas.delete_schema(f"{name}.s")
        await catalogs.delete_catalog(name, force=True)
        with pytest.raises(uc.exceptions.NotFoundException):
            await catalogs.get_catalog(name)

    run(server, admin, work)


def test_tables_are_read_in_this_clients_dialect(server, admin, catalog):
    admin.sql(f"CREATE TABLE {catalog}.work.t (a INT, b DECIMAL(10,2))")
    admin.sql(f"CREATE VIEW {catalog}.work.v AS SELECT a FROM {catalog}.work.t")

    async def work(api):
        tables = uc.TablesApi(api)
        assert {t.name for t in (await tables.list_tables(catalog, "work")).tables} >= {"t"}
        got = await tables.get_table(f"{catalog}.work.t")
        assert (got.table_type, got.data_source_format) == (uc.TableType.MANAGED, uc.DataSourceFormat.DELTA)
        assert [(c.name, c.type_name.value) for c in got.columns] == [("a", "INT"), ("b", "DECIMAL")]
        given = await uc.TemporaryCredentialsApi(api).generate_temporary_table_credentials(
            uc.GenerateTemporaryTableCredential(table_id=got.table_id, operation=uc.TableOperation.READ)
        )
        assert given.expiration_time

    run(server, admin, work)


def test_volumes(server, admin, catalog):
    async def work(api):
        volumes = uc.VolumesApi(api)
        made = await volumes.create_volume(
            uc.CreateVolumeRequestContent(
                catalog_name=catalog, schema_name="work", name="raw", volume_type=uc.VolumeType.MANAGED
            )
        )
        assert made.full_name == f"{catalog}.work.raw"
        assert [v.name for v in (await volumes.list_volumes(catalog, "work")).volumes] == ["raw"]
        await volumes.delete_volume(f"{catalog}.work.raw")

    run(server, admin, work)


def test_permissions_are_spelled_with_spaces_here(server, admin, person, catalog):
    who = person("ana")

    async def work(api):
        grants = uc.GrantsApi(api)
        await grants.update(
            uc.SecurableType.CATALOG,
            catalog,
            uc.UpdatePermissions(
                changes=[
                    uc.PermissionsChange(
                        principal=who.name, add=[uc.Privilege.USE_CATALOG, uc.Privilege.CREATE_SCHEMA], remove=[]
                    )
                ]
            ),
        )
        found = await grants.get(uc.SecurableType.CATALOG, catalog)
        assert {p for a in found.privilege_assignments if a.principal == who.name for p in a.privileges} == {
            uc.Privilege.USE_CATALOG,
            uc.Privilege.CREATE_SCHEMA,
        }

    run(server, admin, work)
    shown = admin.client.api_client.do("GET", f"/api/2.1/unity-catalog/permissions/catalog/{catalog}")
    assert {p for a in shown["privilege_assignments"] if a["principal"] == who.name for p in a["privileges"]} == {
        "USE_CATALOG",
        "CREATE_SCHEMA",
    }


def test_errors_reach_the_client(server, admin, person, catalog):
    who = person("ana")

    async def hidden(api):
        with pytest.raises(uc.exceptions.NotFoundException):
            await uc.CatalogsApi(api).get_catalog(catalog)

    run(server, who, hidden)

    async def twice(api):
        with pytest.raises(uc.exceptions.ApiException) as error:
            await uc.CatalogsApi(api).create_catalog(uc.CreateCatalog(name=catalog))
        assert "ALREADY_EXISTS" in error.value.body

    run(server, admin, twice)
