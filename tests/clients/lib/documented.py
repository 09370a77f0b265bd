"""Objects in the place of those that the examples of the OpenAPI document speak of.

The document says which texts these are (`x-examples-are-about`). `Objects` makes real ones, under new names each time, and
`fill` puts their names and ids in place. A maker below makes those that belong together.
"""

import itertools
import re

import requests

_numbers = itertools.count(5001)

UNITY, SCIM, MLFLOW = "/api/2.1/unity-catalog", "/api/2.0/preview/scim/v2", "/api/2.0/mlflow"
COLOR = [{"key": "color", "value": "blue"}]


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
    """Objects that `admin` made; `person` has read and write on some, its own token and statement. They are made when they are
    first spoken of, those that belong together at once: a text about none costs nothing."""

    def __init__(self, values: dict[str, str], admin: Api, person: Api, person_name: str, warehouse: str, outside: str):
        self.number = next(_numbers)
        self.admin, self.person, self.person_name = admin, person, person_name
        self.warehouse, self.outside = warehouse, outside
        self.values, self._made = values, {}
        self._words = {text: word for word, text in values.items()}
        self._pattern = re.compile("|".join(sorted(map(re.escape, [*self._words, "_new"]), key=len, reverse=True)))
        makers = (word for words in MADE_TOGETHER.values() for word in words)
        assert sorted(makers) == sorted(values), "the document speaks of other objects"

    def __getitem__(self, word: str):
        """What stands for a word of the document."""
        if word not in self._made:
            maker = next(maker for maker, words in MADE_TOGETHER.items() if word in words)
            self._made |= dict(zip(MADE_TOGETHER[maker], maker(self), strict=True))
        return self._made[word]

    def named(self, word: str) -> str:
        """The text of the document for a word, with this set's number."""
        return f"{self.values[word]}{self.number}"

    def fill(self, value):
        """The value with these objects in the place of the documented ones."""
        if isinstance(value, str):
            return self._pattern.sub(lambda found: self._text(found.group()), value)
        if isinstance(value, dict):
            return {key: self.fill(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.fill(one) for one in value]
        if isinstance(value, int) and not isinstance(value, bool) and str(value) in self._words:
            return int(self._text(str(value)))
        return value

    def _text(self, documented: str) -> str:
        return f"_new{self.number}" if documented == "_new" else self[self._words[documented]]

    def sql(self, who: Api, statement: str, **options):
        asked = {"statement": statement, "warehouse_id": self.warehouse, "wait_timeout": "50s", **options}
        answer = who("POST", "/api/2.0/sql/statements", asked)
        assert answer["status"]["state"] == "SUCCEEDED", answer
        return answer

    def grant(self, kind: str, name: str, *privileges: str):
        change = {"changes": [{"principal": self.person_name, "add": privileges}]}
        self.admin("PATCH", f"{UNITY}/permissions/{kind}/{name}", change)


def _schema(of: Objects):
    catalog, schema = of.named("catalog"), of.named("schema")
    of.admin("POST", f"{UNITY}/catalogs", {"name": catalog})
    of.admin("POST", f"{UNITY}/schemas", {"name": schema, "catalog_name": catalog})
    of.grant("catalog", catalog, "USE_CATALOG", "CREATE_SCHEMA")
    of.grant("schema", f"{catalog}.{schema}", "USE_SCHEMA", "CREATE_VOLUME", "CREATE_MODEL")
    return catalog, schema


def _table(of: Objects):
    table = of.named("table")
    name = f"{of['catalog']}.{of['schema']}.{table}"
    of.sql(of.admin, f"CREATE TABLE {name} (id BIGINT)")
    of.grant("table", name, "SELECT")
    return table, of.admin("GET", f"{UNITY}/tables/{name}")["table_id"]


def _volume(of: Objects):
    catalog, schema, volume = of["catalog"], of["schema"], of.named("volume")
    asked = {"name": volume, "volume_type": "MANAGED", "catalog_name": catalog, "schema_name": schema}
    kept = of.admin("POST", f"{UNITY}/volumes", asked)
    of.grant("volume", f"{catalog}.{schema}.{volume}", "READ_VOLUME", "WRITE_VOLUME")
    path = f"/Volumes/{catalog}/{schema}/{volume}"
    of.admin("PUT", f"/api/2.0/fs/files{path}/file.csv", data=b"1,2\n")
    of.admin("PUT", f"/api/2.0/fs/directories{path}/directory")
    begun = of.admin("POST", f"/api/2.0/fs/files{path}/large.csv?action=initiate-upload")
    upload = begun["multipart_upload"]["session_token"]
    part = {"path": f"{path}/large.csv", "session_token": upload, "start_part_number": 1}
    part = of.admin("POST", "/api/2.0/fs/create-upload-part-urls", part)["upload_part_urls"][0]["url"]
    return volume, kept["volume_id"], kept["storage_location"], upload, part.rsplit("/", 1)[1]


def _model(of: Objects):
    catalog, schema, model = of["catalog"], of["schema"], of.named("model")
    registry, named = f"{MLFLOW}/unity-catalog", {"name": f"{catalog}.{schema}.{model}"}
    of.admin("POST", f"{registry}/registered-models/create", {**named, "tags": COLOR})
    of.grant("registered_model", named["name"], "EXECUTE", "CREATE_MODEL_VERSION", "APPLY_TAG")
    for _ in range(2):
        of.admin("POST", f"{registry}/model-versions/create", {**named, "source": "s3://somewhere/model", "tags": COLOR})
    versions = f"/Models/{catalog}/{schema}/{model}"
    of.admin("PUT", f"/api/2.0/fs/files{versions}/1/MLmodel", data=b"flavors: {}")
    of.admin("POST", f"{registry}/model-versions/finalize", {**named, "version": "1"})
    of.admin("POST", f"{registry}/registered-models/alias", {**named, "alias": "champion", "version": "1"})
    sent = of.admin("POST", "/api/2.0/fs/create-upload-url", {"path": f"{versions}/2/file_new.txt"})["url"]
    fetched = of.admin("POST", "/api/2.0/fs/create-download-url", {"path": f"{versions}/1/MLmodel"})["url"]
    return model, sent.rsplit("/", 1)[1], fetched.rsplit("/", 1)[1]


def _experiment(of: Objects):
    name = of.named("experiment_name")
    experiment = of.admin("POST", f"{MLFLOW}/experiments/create", {"name": name, "tags": COLOR})["experiment_id"]
    run = of.admin("POST", f"{MLFLOW}/runs/create", {"experiment_id": experiment, "tags": COLOR})["run"]["info"]["run_id"]
    of.admin("POST", f"{MLFLOW}/runs/log-metric", {"run_id": run, "key": "accuracy", "value": 0.5, "timestamp": 1})
    artifacts = "/api/2.0/mlflow-artifacts/artifacts"
    of.admin("PUT", f"{artifacts}/{experiment}/{run}/artifacts/notes.txt", data=b"notes")
    logged = {"experiment_id": experiment, "name": "logged", "tags": COLOR}
    logged = of.admin("POST", f"{MLFLOW}/logged-models", logged)["model"]["info"]["model_id"]
    of.admin("PUT", f"{artifacts}/{experiment}/models/{logged}/artifacts/MLmodel", data=b"flavors: {}")
    levels = {"access_control_list": [{"user_name": of.person_name, "permission_level": "CAN_EDIT"}]}
    of.admin("PATCH", f"/api/2.0/permissions/experiments/{experiment}", levels)
    return experiment, name, run, logged


def _deleted_experiment(of: Objects):
    name = f"deleted-{of.named('experiment_name')}"
    deleted = of.admin("POST", f"{MLFLOW}/experiments/create", {"name": name})["experiment_id"]
    of.admin("POST", f"{MLFLOW}/experiments/delete", {"experiment_id": deleted})
    return (deleted,)


def _statement(of: Objects):
    statement = of.sql(of.person, "SELECT 1", disposition="EXTERNAL_LINKS", format="ARROW_STREAM")
    link = statement["result"]["external_links"][0]["external_link"].split("/")
    return statement["statement_id"], link[-2], link[-1]


def _scope(of: Objects):
    scope, key, reader = of.named("scope"), of.values["secret_key"], f"reader{of.number}@example.com"
    of.admin("POST", "/api/2.0/secrets/scopes/create", {"scope": scope})
    of.admin("POST", "/api/2.0/secrets/put", {"scope": scope, "key": key, "string_value": "x"})
    of.admin("POST", f"{SCIM}/Users", {"userName": reader})
    of.admin("POST", "/api/2.0/secrets/acls/put", {"scope": scope, "principal": reader, "permission": "READ"})
    return scope, key, reader


def _user(of: Objects):
    name = f"user{of.number}@example.com"
    user = of.admin("POST", f"{SCIM}/Users", {"userName": name})["id"]
    code = of.admin("POST", "/api/2.0/crannog/setup-links", {"user_name": name})["setup_url"].split("=")[1]
    return user, name, of.values["password"], code


def _service(of: Objects):
    service = of.admin("POST", f"{SCIM}/ServicePrincipals", {"displayName": f"service{of.number}"})
    secrets = f"/api/2.0/accounts/servicePrincipals/{service['id']}/credentials/secrets"
    secret = of.admin("POST", secrets, {})
    return service["id"], service["applicationId"], secret["id"], secret["secret"]


def _group(of: Objects):
    return (of.admin("POST", f"{SCIM}/Groups", {"displayName": f"group{of.number}"})["id"],)


def _warehouse(of: Objects):
    return (of.admin("POST", "/api/2.0/sql/warehouses", {"name": f"warehouse{of.number}"})["id"],)


def _token(of: Objects):
    return (of.person("POST", "/api/2.0/token/create", {})["token_info"]["token_id"],)


def _external_location(of: Objects):
    return (f"file://{of.outside}/{of.number}",)


# The words of the document, and who makes what stands for them.
MADE_TOGETHER = {
    _schema: ("catalog", "schema"),
    _table: ("table", "table_id"),
    _volume: ("volume", "volume_id", "volume_url", "upload_session", "part_secret"),
    _model: ("model", "model_upload", "model_download"),
    _experiment: ("experiment", "experiment_name", "run", "logged_model"),
    _deleted_experiment: ("deleted_experiment",),
    _statement: ("statement", "link_secret", "link_expires"),
    _scope: ("scope", "secret_key", "scope_reader"),
    _user: ("user", "user_name", "password", "setup_code"),
    _service: ("service_principal", "application_id", "client_secret", "client_secret_text"),
    _group: ("group",),
    _warehouse: ("warehouse",),
    _token: ("token",),
    _external_location: ("external_location",),
}
