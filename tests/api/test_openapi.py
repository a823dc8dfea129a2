"""The description of the API: what it says is what is answered, for it is made of the same."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest

from kilowatch.api.app import DESCRIPTION
from kilowatch.api.declaring import Resource
from kilowatch.api.openapi import REFUSALS, Problem
from kilowatch.api.resources import RESOURCES
from tests.api.api_world import Served
from tests.api.test_isolation import asked, named

WORDS = {"type", "format", "title", "description", "properties", "required", "items", "anyOf"}
WORDS |= {"enum", "default", "minimum", "maximum", "additionalProperties", "$ref", "minLength"}
WORDS |= {"maxLength"}


def fits(schema: dict[str, Any], value: Any, places: dict[str, Any]) -> bool:
    """Tell whether a value is what a schema says, for the words that ours are written with.

    An answer must have no member that the schema does not name: it would be undocumented.
    """
    assert set(schema) <= WORDS, schema
    if "$ref" in schema:
        return fits(places[schema["$ref"].rpartition("/")[2]], value, places)
    if "anyOf" in schema or "enum" in schema:
        among = any(fits(one, value, places) for one in schema.get("anyOf", ()))
        return among or value in schema.get("enum", ())
    if schema["type"] == "array":
        return isinstance(value, list) and all(fits(schema["items"], v, places) for v in value)
    if schema["type"] == "object" and "properties" in schema:
        inside = schema["properties"]
        return (
            isinstance(value, dict)
            and set(schema.get("required", ())) <= set(value) <= set(inside)
            and all(fits(inside[name], one, places) for name, one in value.items())
        )
    if schema["type"] == "object":
        more = schema.get("additionalProperties", {"type": "anything"})
        return isinstance(value, dict) and all(fits(more, v, places) for v in value.values())
    kinds: dict[str, Any] = {
        "string": str, "integer": int, "number": (int, float), "boolean": bool,
        "null": type(None), "anything": object,
    }  # fmt: skip
    exact = schema["type"] != "boolean" and isinstance(value, bool)
    return isinstance(value, kinds[schema["type"]]) and not exact


@pytest.fixture(scope="module")
def told(served: Served) -> dict[str, Any]:
    """Return the description as anybody can read it."""
    answer = served.client.get(DESCRIPTION)
    assert answer.status_code == 200, "without a token"
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_each_answer_is_what_the_description_says(
    served: Served, told: dict[str, Any], resource: Resource
) -> None:
    """A client that was generated from it reads every answer, and nothing is left out of it."""
    answer = served.get(asked(served, resource))
    schemas = told["components"]["schemas"]
    schema = told["paths"][resource.path]["get"]["responses"]["200"]["content"]
    body = answer.json()
    assert fits(schema["application/json"]["schema"], body, schemas), json.dumps(body)[:500]
    msgspec.convert(body, resource.answer, strict=True)


def test_a_refusal_is_what_the_description_says(served: Served, told: dict[str, Any]) -> None:
    """Every status that is answered is described, and its body is a problem."""
    known = {*REFUSALS}
    for path, who in (("/meters?x=1", True), ("/meters", False), ("/sites/999999", True)):
        answer = served.get(path) if who else served.get(path, None)
        assert str(answer.status_code) in known
        msgspec.convert(answer.json(), Problem, strict=True)
    assert set(told["components"]["responses"]) == {name for name, _ in REFUSALS.values()}


def test_the_description_is_whole_and_points_nowhere(told: dict[str, Any]) -> None:
    """OpenAPI 3.1: each reference is there, each operation has a name of its own and responses."""
    assert told["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(told["info"])
    text = json.dumps(told)
    for pointer in set(re.findall(r'"\$ref": "#/([^"]+)"', text)):
        found = told
        for part in pointer.split("/"):
            found = found[part]
        assert found
    operations = [one["get"] for one in told["paths"].values()]
    names = [one["operationId"] for one in operations]
    assert len(set(names)) == len(names) == len(RESOURCES)
    tags = {one["name"] for one in told["tags"]}
    for path, item in told["paths"].items():
        one = item["get"]
        assert set(one["tags"]) <= tags
        assert one["summary"]
        assert {"200", "401", "404", "429", "503"} <= set(one["responses"])
        in_path = [p["name"] for p in one["parameters"] if p["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path)
        assert all(p["required"] for p in one["parameters"] if p["in"] == "path")
        assert all(p.get("description") for p in one["parameters"] if p["in"] == "query")
    for scheme in told["security"]:
        assert set(scheme) <= set(told["components"]["securitySchemes"])


def test_every_member_of_an_answer_says_what_it_is(told: dict[str, Any]) -> None:
    """Units and meaning stand beside each name; no docstring's layout is left in it."""
    for name, schema in told["components"]["schemas"].items():
        assert schema["description"], name
        assert "Attributes:" not in schema["description"]
        for member, one in schema.get("properties", {}).items():
            assert one.get("description"), f"{name}.{member}"
