"""Objects in the place of those that the examples of the OpenAPI document speak of.

The document says which texts these are (`x-examples-are-about`). `Objects` makes real ones, under new names each time, and
`fill` puts their names and ids in place.
"""

import itertools
import re

import requests

_numbers = itertools.count(5001)


class Api:
    """Plain requests as one person."""

    def __init__(self, url: str, token: str | None = None):
        self.url, self.session = url, requests.Session()
        self.session.trust_env = False
        if token:
            self.session.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, json=None, **options):
        answer = self.session.request(method, self.url + path, json=json, **options)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content[:1] in (b"{", b"[") else None


class Objects:
    """A set of objects that `admin` made; `person` has read and write on some, its own token and statement."""

    def __init__(self, values: dict[str, str], admin: Api, person: Api, person_name: str, warehouse: str, outside: str):
        n = next(_numbers)
        catalog, schema, table, volume = (f"{values[word]}{n}" for word in ("catalog", "schema", "table", "volume"))
        unity, scim = "/api/2.1/unity-catalog", "/api/2.0/preview/scim/v2"
        admin("POST", f"{unity}/catalogs", {"name": catalog})
        admin("POST", f"{unity}/schemas", {"name": schema, "catalog_name": catalog})
        where = {"catalog_name": catalog, "schema_name": schema}
        kept = admin("POST", f"{unity}/volumes", {"name": volume, "volume_type": "MANAGED", **where})
        path = f"/Volumes/{catalog}/{schema}/{volume}"
        admin("PUT", f"/api/2.0/fs/files{path}/file.csv", data=b"1,2\n")
        admin("PUT", f"/api/2.0/fs/directories{path}/directory")
        upload = admin("POST", f"/api/2.0/fs/files{path}/large.csv?action=initiate-upload")["multipart_upload"]["session_token"]
        part = {"path": f"{path}/large.csv", "session_token": upload, "start_part_number": 1}
        part = admin("POST", "/api/2.0/fs/create-upload-part-urls", part)["upload_part_urls"][0]["url"]
        made = f"CREATE TABLE {catalog}.{schema}.{table} (id BIGINT)"
        asked = {"warehouse_id": warehouse, "wait_timeout": "50s"}
        assert admin("POST", "/api/2.0/sql/statements", {"statement": made, **asked})["status"]["state"] == "SUCCEEDED"
        table_id = admin("GET", f"{unity}/tables/{catalog}.{schema}.{table}")["table_id"]
        links = {"disposition": "EXTERNAL_LINKS", "format": "ARROW_STREAM"}
        statement = person("POST", "/api/2.0/sql/statements", {"statement": "SELECT 1", **links, **asked})
        link = statement["result"]["external_links"][0]["external_link"].split("/")
        scope = f"{values['scope']}{n}"
        admin("POST", "/api/2.0/secrets/scopes/create", {"scope": scope})
        admin("POST", "/api/2.0/secrets/put", {"scope": scope, "key": values["secret_key"], "string_value": "x"})
        user_name, reader = f"user{n}@example.com", f"reader{n}@example.com"
        user = admin("POST", f"{scim}/Users", {"userName": user_name})["id"]
        admin("POST", f"{scim}/Users", {"userName": reader})
        admin("POST", "/api/2.0/secrets/acls/put", {"scope": scope, "principal": reader, "permission": "READ"})
        service = admin("POST", f"{scim}/ServicePrincipals", {"displayName": f"service{n}"})
        secrets = f"/api/2.0/accounts/servicePrincipals/{service['id']}/credentials/secrets"
        secret = admin("POST", secrets, {})
        code = admin("POST", "/api/2.0/crannog/setup-links", {"user_name": user_name})["setup_url"].split("=")[1]
        mlflow, color = "/api/2.0/mlflow", [{"key": "color", "value": "blue"}]
        name = f"{values['experiment_name']}{n}"
        experiment = admin("POST", f"{mlflow}/experiments/create", {"name": name, "tags": color})["experiment_id"]
        run = admin("POST", f"{mlflow}/runs/create", {"experiment_id": experiment, "tags": color})["run"]["info"]["run_id"]
        admin("POST", f"{mlflow}/runs/log-metric", {"run_id": run, "key": "accuracy", "value": 0.5, "timestamp": 1})
        admin("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/notes.txt", data=b"notes")
        logged = {"experiment_id": experiment, "name": "logged", "tags": color}
        logged = admin("POST", f"{mlflow}/logged-models", logged)["model"]["info"]["model_id"]
        folder = f"{experiment}/models/{logged}/artifacts"
        admin("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{folder}/MLmodel", data=b"flavors: {}")
        model, registry = f"{values['model']}{n}", f"{mlflow}/unity-catalog"
        named = {"name": f"{catalog}.{schema}.{model}"}
        admin("POST", f"{registry}/registered-models/create", {**named, "tags": color})
        for _ in range(2):
            admin("POST", f"{registry}/model-versions/create", {**named, "source": "s3://somewhere/model", "tags": color})
        versions = f"/Models/{catalog}/{schema}/{model}"
        admin("PUT", f"/api/2.0/fs/files{versions}/1/MLmodel", data=b"flavors: {}")
        admin("POST", f"{registry}/model-versions/finalize", {**named, "version": "1"})
        admin("POST", f"{registry}/registered-models/alias", {**named, "alias": "champion", "version": "1"})
        sent = admin("POST", "/api/2.0/fs/create-upload-url", {"path": f"{versions}/2/file_new.txt"})["url"]
        fetched = admin("POST", "/api/2.0/fs/create-download-url", {"path": f"{versions}/1/MLmodel"})["url"]
        deleted = admin("POST", f"{mlflow}/experiments/create", {"name": f"deleted-{name}"})["experiment_id"]
        admin("POST", f"{mlflow}/experiments/delete", {"experiment_id": deleted})
        levels = {"access_control_list": [{"user_name": person_name, "permission_level": "CAN_EDIT"}]}
        admin("PATCH", f"/api/2.0/permissions/experiments/{experiment}", levels)
        self.places = {
            "catalog": catalog,
            "schema": schema,
            "table": table,
            "table_id": table_id,
            "volume": volume,
            "volume_id": kept["volume_id"],
            "volume_url": kept["storage_location"],
            "upload_session": upload,
            "part_secret": part.rsplit("/", 1)[1],
            "warehouse": admin("POST", "/api/2.0/sql/warehouses", {"name": f"warehouse{n}"})["id"],
            "scope": scope,
            "secret_key": values["secret_key"],
            "scope_reader": reader,
            "user": user,
            "user_name": user_name,
            "password": values["password"],
            "setup_code": code,
            "group": admin("POST", f"{scim}/Groups", {"displayName": f"group{n}"})["id"],
            "service_principal": service["id"],
            "application_id": service["applicationId"],
            "client_secret": secret["id"],
            "client_secret_text": secret["secret"],
            "token": person("POST", "/api/2.0/token/create", {})["token_info"]["token_id"],
            "statement": statement["statement_id"],
            "link_secret": link[-2],
            "link_expires": link[-1],
            "external_location": f"file://{outside}/{n}",
            "experiment": experiment,
            "experiment_name": name,
            "deleted_experiment": deleted,
            "run": run,
            "logged_model": logged,
            "model": model,
            "model_upload": sent.rsplit("/", 1)[1],
            "model_download": fetched.rsplit("/", 1)[1],
        }
        assert set(self.places) == set(values), "the document speaks of other objects"
        self._texts = {values[name]: self.places[name] for name in values} | {"_new": f"_new{n}"}
        self._pattern = re.compile("|".join(sorted(map(re.escape, self._texts), key=len, reverse=True)))
        for kind, name, words in (
            ("catalog", catalog, ["USE_CATALOG", "CREATE_SCHEMA"]),
            ("schema", f"{catalog}.{schema}", ["USE_SCHEMA", "CREATE_VOLUME", "CREATE_MODEL"]),
            ("table", f"{catalog}.{schema}.{table}", ["SELECT"]),
            ("volume", f"{catalog}.{schema}.{volume}", ["READ_VOLUME", "WRITE_VOLUME"]),
            ("registered_model", f"{catalog}.{schema}.{model}", ["EXECUTE", "CREATE_MODEL_VERSION", "APPLY_TAG"]),
        ):
            change = {"changes": [{"principal": person_name, "add": words}]}
            admin("PATCH", f"{unity}/permissions/{kind}/{name}", change)

    def fill(self, value):
        """The value with these objects in the place of the documented ones."""
        if isinstance(value, str):
            return self._pattern.sub(lambda found: self._texts[found.group()], value)
        if isinstance(value, dict):
            return {key: self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, int) and not isinstance(value, bool) and str(value) in self._texts:
            return int(self._texts[str(value)])
        return value
