"""The description of the API as OpenAPI 3.1, made of the declarations that requests go by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from kilowatch import __version__
from kilowatch.api.declaring import NUMBER, Resource
from kilowatch.api.problems import PROBLEM

PLACE = "#/components/schemas/{name}"
ABOUT = (
    "What a person sees in Kilowatch, for their programs. A token of theirs, made on the page of "
    "their account, goes into the Authorization header, bare or after 'Bearer'; it sees exactly "
    "what its person sees, and everything else is answered 404. Reading only: writing is not "
    "built yet. The guide is docs/integrate/api.md, in the dashboard's manual too."
)
REFUSALS = {
    "400": ("BadRequest", "A parameter is unknown or cannot be read; `parameter` names it."),
    "401": ("Unauthorized", "The token is missing, unknown, revoked or over."),
    "403": ("Forbidden", "The owner of the token sees it, but role or plan do not include this."),
    "404": ("NotFound", "It is not there, or not for this token to see."),
    "405": ("MethodNotAllowed", "The API reads; writing is not built yet."),
    "422": ("Unprocessable", "What was asked for is understood and cannot be answered."),
    "429": ("TooManyRequests", "Too many requests of the token, or wrong tokens of the address."),
    "500": ("ServerFault", "A fault of the server; the operator finds it in the log."),
    "503": ("Unavailable", "The store opens or is busy: ask again after `Retry-After`."),
}
WAITS = ("429", "503")
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)$", re.MULTILINE)
"""A line of a docstring's attributes, with those that go on from it."""


class Problem(msgspec.Struct, omit_defaults=True):
    """A refusal (RFC 9457); members that belong to it, such as `limit_days`, come beside.

    Attributes:
        type: A name of the problem; no address.
        title: The status in words.
        status: HTTP status.
        detail: What happened, in a sentence.
        code: A stable word for programs.
        remedy: What to do about it.
        parameter: The parameter that it is about.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    remedy: str = ""
    parameter: str = ""


def document(resources: Sequence[Resource], prefix: str) -> dict[str, Any]:
    """Return the whole description.

    Args:
        resources: Every resource.
        prefix: Path that they stand below.
    """
    types = [Problem, *(one.answer for one in resources)]
    answers, schemas = msgspec.json.schema_components(types, ref_template=PLACE)
    _describe(schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Kilowatch management API",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix}],
        "security": [{"token": []}, {"bearer": []}],
        "tags": [{"name": name} for name in dict.fromkeys(one.group for one in resources)],
        "paths": {
            one.path: {"get": _operation(one, schema)}
            for one, schema in zip(resources, answers[1:], strict=True)
        },
        "components": {
            "schemas": schemas,
            "responses": {
                name: _refusal(about, status, answers[0])
                for status, (name, about) in REFUSALS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "apiKey", "in": "header", "name": "Authorization",
                    "description": "The bare token.",
                },
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }  # fmt: skip


def _describe(schemas: dict[str, dict[str, Any]]) -> None:
    """Give each property what the docstring of its struct says of it.

    A struct that has all that another one has documents only what it has besides.
    """
    told: dict[str, str] = {}
    for schema in schemas.values():
        first, _, attributes = inspect.cleandoc(schema["description"]).partition("Attributes:")
        schema["description"] = first.strip()
        own = dict(_ATTRIBUTE.findall(attributes))
        told = {name: " ".join(text.split()) for name, text in own.items()} | told
        schema["own"] = own
    for schema in schemas.values():
        own = schema.pop("own")
        for name, member in schema.get("properties", {}).items():
            text = " ".join(own.get(name, told[name]).split())
            schema["properties"][name] = {**member, "description": text.replace("``", "`")}


def _operation(resource: Resource, schema: dict[str, Any]) -> dict[str, Any]:
    headers = {}
    if resource.paged:
        headers = {
            "X-Total-Count": {
                "description": "Items of all pages together.", "schema": {"type": "integer"},
            },
            "Link": {
                "description": "first, prev, next and last page (RFC 8288), where pages were "
                "asked for; addresses are relative.",
                "schema": {"type": "string"},
            },
        }  # fmt: skip
    return {
        "operationId": resource.handler.__name__,
        "summary": resource.summary,
        "description": resource.about or resource.summary,
        "tags": [resource.group],
        "parameters": _parameters(resource),
        "responses": {
            "200": {
                "description": resource.summary,
                "headers": headers,
                "content": {"application/json": {"schema": schema}},
            },
            **{
                status: {"$ref": f"#/components/responses/{name}"}
                for status, (name, _) in REFUSALS.items()
                if status != "405"
            },
        },
    }


def _parameters(resource: Resource) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in resource.path:
        found.append({"name": "id", "in": "path", "required": True, "schema": dict(NUMBER)})
    for one in resource.every_parameter:
        told = {"name": one.name, "in": "query", "description": one.about}
        found.append({**told, "required": one.required, "schema": dict(one.schema)})
    return found


def _refusal(about: str, status: str, schema: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"description": about, "content": {PROBLEM: {"schema": schema}}}
    if status in WAITS:
        seconds = {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        told["headers"] = {"Retry-After": seconds}
    return told
