"""Secrets through databricks-sdk: scopes, values, and who may read them."""

import base64
import json
import signal
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from databricks.sdk.errors import DatabricksError, NotFound, PermissionDenied, ResourceDoesNotExist
from databricks.sdk.service.workspace import AclPermission
from harness import unique


def test_a_secret_is_kept_listed_without_value_and_deleted(admin):
    scope = unique("scope")
    admin.client.secrets.create_scope(scope)
    assert scope in {s.name for s in admin.client.secrets.list_scopes()}
    admin.client.secrets.put_secret(scope, "pw", string_value="grüße ✈")
    admin.client.secrets.put_secret(scope, "raw", bytes_value=base64.b64encode(b"\x00\xff").decode())
    assert base64.b64decode(admin.client.secrets.get_secret(scope, "pw").value).decode() == "grüße ✈"
    assert base64.b64decode(admin.client.secrets.get_secret(scope, "raw").value) == b"\x00\xff"
    assert {s.key for s in admin.client.secrets.list_secrets(scope)} == {"pw", "raw"}
    admin.client.secrets.delete_secret(scope, "pw")
    with pytest.raises((NotFound, ResourceDoesNotExist)):
        admin.client.secrets.get_secret(scope, "pw")
    with pytest.raises(DatabricksError) as error:
        admin.client.secrets.create_scope(scope)
    assert error.value.error_code == "RESOURCE_ALREADY_EXISTS"
    admin.client.secrets.delete_scope(scope)
    assert scope not in {s.name for s in admin.client.secrets.list_scopes()}


def test_only_those_on_the_list_read_a_secret(admin, person):
    ana, ben, scope = person("ana"), person("ben"), unique("scope")
    admin.client.secrets.create_scope(scope)
    admin.client.secrets.put_secret(scope, "pw", string_value="s3cret")
    admin.client.secrets.put_acl(scope, ana.name, AclPermission.READ)
    assert base64.b64decode(ana.client.secrets.get_secret(scope, "pw").value) == b"s3cret"
    with pytest.raises(PermissionDenied):
        ana.client.secrets.put_secret(scope, "pw", string_value="other")
    with pytest.raises((PermissionDenied, NotFound, ResourceDoesNotExist)):
        ben.client.secrets.get_secret(scope, "pw")
    admin.client.secrets.delete_acl(scope, ana.name)
    with pytest.raises((PermissionDenied, NotFound, ResourceDoesNotExist)):
        ana.client.secrets.get_secret(scope, "pw")


def test_the_root_key_is_not_in_the_data_folder(new_server):
    """A copy of the folder opens no secret; a key that an earlier start left in the folder is moved out, and still opens."""
    server = new_server()
    scope = unique("scope")
    server.admin().client.secrets.create_scope(scope)
    server.admin().client.secrets.put_secret(scope, "pw", string_value="kept")

    def read():
        return base64.b64decode(server.admin().client.secrets.get_secret(scope, "pw").value)

    key = server.folder / "data.root.key"
    assert key.stat().st_mode & 0o777 == 0o600 and not (server.data / "keys").exists()
    server.signal(signal.SIGTERM)
    aside = key.rename(server.folder / "aside.key")
    server.start()
    with pytest.raises(DatabricksError, match="root key file .* is missing"):
        read()
    server.signal(signal.SIGTERM)
    (server.data / "keys").mkdir(mode=0o700)
    aside.rename(server.data / "keys" / "root.key")
    server.start()
    assert read() == b"kept"
    assert key.exists() and not (server.data / "keys").exists()
    assert "was moved out of the data folder" in server.log.read_text()
    server.signal(signal.SIGTERM)
    server.folder.chmod(0o1777)
    (server.data / "keys").mkdir(mode=0o700)
    key.rename(server.data / "keys" / "root.key")
    server.start()
    assert read() == b"kept"
    assert "warning: the root key of stored secrets" in server.log.read_text()
    server.folder.chmod(0o700)


def test_the_canary_is_nowhere(new_server):
    """Secrets go through every door; then logs at every level, audit, history, errors, metrics, OpenAPI, the environment,
    the arguments and every file are searched for them."""
    server = new_server(environment={"CRANNOG_LOG": "trace"})
    admin = server.admin()
    canary = "canary-7f3a9c-do-not-log-me"
    password = "canary-password-51d0"
    scope = unique("scope")
    admin.client.secrets.create_scope(scope)
    admin.client.secrets.put_secret(scope, "k", string_value=canary)
    admin.client.secrets.get_secret(scope, "k")
    user = admin.client.users.create(user_name=f"{unique('ana')}@example.com").user_name
    link = admin.client.api_client.do("POST", "/api/2.0/crannog/setup-links", body={"user_name": user})["setup_url"]
    code = link.split("code=")[1]
    made = admin.client.tokens.create(comment="c").token_value
    robot = admin.client.service_principals.create(display_name=unique("robot"))
    secret = admin.client.service_principal_secrets_proxy.create(robot.id).secret
    answers = []

    def send(path, data, **headers):
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if isinstance(data, bytes) else {}
        body = data if isinstance(data, bytes) or data is None else json.dumps(data).encode()
        request = urllib.request.Request(server.url + path, body, {**kind, **headers})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            answers.append(error.read().decode())
            return None

    form = lambda **fields: urllib.parse.urlencode(fields).encode()
    send("/setup", form(code=code, password=password, again=password))
    send("/login", form(name=user, password=password))
    bearer = {"Authorization": f"Bearer {server.admin_token}"}
    # Refused for one reason or another, with the secret in hand.
    send("/login", form(name=user, password=canary))
    send("/login", form(name="nobody@example.com", password=canary))
    send("/setup", form(code=code, password=password, again=canary))
    send("/oidc/v1/token", form(grant_type="client_credentials", client_id=robot.application_id, client_secret=secret + "x"))
    send("/oidc/v1/token", form(grant_type="authorization_code", client_id="databricks-cli", code=made, code_verifier=canary, redirect_uri="x"))
    send("/oidc/v1/token", form(grant_type="refresh_token", client_id="databricks-cli", refresh_token=made))
    send("/api/2.0/secrets/put", {"scope": scope, "key": "a b", "string_value": canary}, **bearer)
    send("/api/2.0/secrets/put", {"scope": scope, "key": 1, "string_value": canary}, **bearer)
    send("/api/2.0/secrets/put", {"scope": scope, "key": "k", "bytes_value": canary}, **bearer)
    send("/api/2.0/secrets/put", ("{" + canary).encode(), **{**bearer, "Content-Type": "application/json"})
    send("/api/2.0/preview/scim/v2/Me", None, Authorization=f"Bearer {made}x")
    send("/api/2.0/preview/scim/v2/Me", None, Authorization=f"Basic {canary}")
    send("/api/2.0/preview/scim/v2/Me", None, Cookie=f"crannog_session={made}")
    assert len(answers) >= 12
    searched = {f"answer {n}": answer for n, answer in enumerate(answers)}
    searched["metrics"] = send("/metrics", None)
    searched["openapi"] = send("/api/openapi.json", None, **bearer)
    searched["audit"] = str(admin.sql("SELECT * FROM system.access.audit"))
    searched["history"] = str(admin.sql("SELECT * FROM system.query.history"))
    process = Path("/proc") / str(server.process.pid)
    searched["environment"] = (process / "environ").read_bytes().decode(errors="replace")
    searched["arguments"] = (process / "cmdline").read_bytes().decode(errors="replace")
    assert "putSecret" in searched["audit"] and "PutSecret" in searched["openapi"]
    needles = [canary, base64.b64encode(canary.encode()).decode(), password, made, secret]
    for where, text in searched.items():
        assert [n for n in [*needles, server.admin_token, code] if n in text] == [], where
    server.signal(signal.SIGTERM)
    searched = {str(p): p.read_bytes() for p in server.folder.rglob("*") if p.is_file()}
    assert b"answered" in searched[str(server.log)], "the log is at its fullest"
    for where, text in searched.items():
        assert [n for n in needles if n.encode() in text] == [], where
