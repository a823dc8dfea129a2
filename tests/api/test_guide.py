"""The integrator's guide: every address is in it, and every example is what is really answered."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from kilowatch.api.app import Api
from kilowatch.api.declaring import Resource
from kilowatch.api.needs import FAILURES, REQUESTS
from kilowatch.api.openapi import Problem
from kilowatch.api.resources import RESOURCES
from tests.api.api_world import Served
from tests.api.test_isolation import named

GUIDE = (Path(__file__).parents[2] / "docs" / "integrate" / "api.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^`GET (/\S+)`\n\n```json\n(.*?)```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("resource", RESOURCES, ids=named)
def test_every_address_is_in_the_guide_with_its_parameters(resource: Resource) -> None:
    """An integrator finds what there is without reading a description for machines."""
    address = resource.path.replace("{id}", "ID")
    assert re.search(rf"`{re.escape(address)}[`?]", GUIDE), address
    for one in resource.parameters:
        assert re.search(rf"\b{one.name}\b", GUIDE), one.name


def test_every_example_of_the_guide_is_an_answer_of_its_address(served: Served) -> None:
    """What is shown has every member of the real answer and no other one."""
    found = Api(served.rooms)
    seen = set()
    for address, text in EXAMPLES:
        path, _, query = address.partition("?")
        known = found._find(f"/api/v1{path}")
        assert known, address
        resource = known[0]
        resource.check([(n, v) for n, _, v in (p.partition("=") for p in query.split("&") if p)])
        msgspec.convert(json.loads(text), resource.answer, strict=True)
        example = json.loads(text)
        kept = msgspec.to_builtins(msgspec.convert(example, resource.answer))
        assert kept == example, f"{address}: members that no answer has"
        seen.add(resource.path)
    assert len(EXAMPLES) >= len(seen) >= 5
    refusal = re.search(r"```json\n(\{\s+\"type\": \"urn:.*?)```", GUIDE, re.DOTALL)
    assert refusal
    msgspec.convert(json.loads(refusal[1]), Problem)


def test_the_limits_of_the_guide_are_those_of_the_program() -> None:
    """Who plans a nightly job plans with the right numbers."""
    assert f"{REQUESTS} within a minute" in GUIDE
    assert f"{FAILURES} within ten minutes" in GUIDE
