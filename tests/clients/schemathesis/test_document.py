"""The OpenAPI document by itself: that it is one, and that it says what everything is."""

import pytest
import requests
from documented_cases import operations
from harness import Server
from openapi_spec_validator import OpenAPIV31SpecValidator


@pytest.fixture(scope="module")
def document():
    with Server() as server:
        return requests.get(f"{server.url}/api/openapi.json", timeout=30).json()


def resolved(document, one):
    """What is referred to, in its place."""
    for word in one.get("$ref", "").split("/")[1:]:
        document = document[word]
    return document if "$ref" in one else one


def bodies(operation):
    """The schemas of an operation's body."""
    return [one["schema"] for one in operation.get("requestBody", {}).get("content", {}).values() if "schema" in one]


def numbers(schema, path=""):
    """The numbers in a schema that say nothing of themselves."""
    if not isinstance(schema, dict):
        return []
    kinds = schema.get("type", [])
    found = [path] if {"integer", "number"} & {*([kinds] if isinstance(kinds, str) else kinds)} else []
    found = [] if "description" in schema else found
    for name, one in schema.get("properties", {}).items():
        found += numbers(one, f"{path}.{name}")
    for one in [schema.get("items"), *schema.get("anyOf", [])]:
        found += numbers(one, path)
    return found


def test_the_document_is_valid_openapi(document):
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert document["openapi"].startswith("3.1")


def test_every_operation_says_what_it_takes_and_what_it_gives(document):
    faults = []
    for operation in operations(document):
        name = operation["operationId"]
        if not operation.get("summary"):
            faults.append(f"{name} has no summary")
        for parameter in operation.get("parameters", []):
            if not parameter.get("description") or not {"type", "anyOf", "enum"} & set(parameter["schema"]):
                faults.append(f"{name}: the parameter {parameter['name']} has no type or is not described")
            if "integer" in parameter["schema"].get("type", "") and "minimum" not in parameter["schema"]:
                faults.append(f"{name}: the parameter {parameter['name']} has no least value")
        for schema in bodies(operation):
            for field, one in schema.get("properties", {}).items():
                if not isinstance(one, dict) or not one.get("description"):
                    faults.append(f"{name}: the field {field} is not described")
        answers = {status: resolved(document, one) for status, one in operation["responses"].items()}
        if not any(status < "400" for status in answers) and name != "LoadDeltaTable":
            faults.append(f"{name} never succeeds")
        if missing := {"400", "403", "404", "429", "500", "503"} - set(answers):
            faults.append(f"{name} does not declare {missing}")
        if "security" not in operation and "401" not in answers:
            faults.append(f"{name} does not declare 401")
        for status, answer in answers.items():
            if not answer.get("description"):
                faults.append(f"{name}: {status} is not described")
            for content in answer.get("content", {}).values():
                if not content.get("schema"):
                    faults.append(f"{name}: {status} has no schema")
                faults += [f"{name}: {status}: {one} says no unit" for one in numbers(content.get("schema"))]
    assert faults == []
