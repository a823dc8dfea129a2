"""Golden packets: bodies as clients in the field send them, and the answer to each.

``golden/NAME.body`` is the request's body, byte for byte; ``golden/answers.json`` says who
sends it and what becomes of it. After a change that is meant, run this file as a program
to write the answers again, and read the difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.model.parameters import channel_name
from kilowatch.wire import decode, values_of

GOLDEN = Path(__file__).parent / "golden"
ANSWERS = GOLDEN / "answers.json"


def answer(body: bytes, form: Form) -> dict[str, Any]:
    """Return what becomes of a body, as it stands in the golden file."""
    try:
        packet = decode(body, form)
    except KilowatchError as refusal:
        found = {"code": refusal.code, "detail": refusal.detail, "remedy": refusal.remedy}
        return {**found, "data": refusal.data}
    assert values_of(body, form) == packet
    values = {channel_name(channel): value for channel, value in packet.values.items()}
    return {
        "stream_id": packet.stream_id,
        "at_ms": packet.at_ms,
        "offset_min": packet.offset_min,
        "offset_kind": packet.offset_kind.name,
        "values": values,
        "ignored": list(packet.ignored),
    }


def cases() -> dict[str, Any]:
    """Return the golden file."""
    found: dict[str, Any] = json.loads(ANSWERS.read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", cases())
def test_a_body_from_the_field_is_answered_as_ever(name: str) -> None:
    """A gateway that worked with the last version works with this one."""
    case = cases()[name]
    body = (GOLDEN / f"{name}.body").read_bytes()
    assert answer(body, Form[case["form"]]) == case["answer"], case["sender"]


def test_every_golden_body_has_its_answer() -> None:
    """A body without an answer would test nothing."""
    assert {path.stem for path in GOLDEN.glob("*.body")} == set(cases())


if __name__ == "__main__":
    told = cases()
    for case_name, told_case in told.items():
        content = (GOLDEN / f"{case_name}.body").read_bytes()
        told_case["answer"] = answer(content, Form[told_case["form"]])
    ANSWERS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
