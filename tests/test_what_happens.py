"""The page "What happens to a packet" has every case that the code knows."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

import kilowatch
from kilowatch.collector.answers import RETRY_AFTER_S, TITLES
from kilowatch.log.records import NOT_CHRONOLOGICAL, Status
from kilowatch.model.blocks import Quality

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "what-happens-to-a-packet.md"
NAMED = set(re.findall(r"`([a-z_.]+)`", PAGE.read_text(encoding="utf-8")))
SOURCES = Path(kilowatch.__file__).parent

STARTING = {"port_taken", "port_unusable", "tls_unusable", "wrong_setting"}
"""What the push server says when it can't start: no packet is concerned."""
FAILED = {"failed"}
"""An outcome inside the program: its sender reads ``not_durable``."""


def words(rooms: tuple[str, ...], functions: set[str]) -> set[str]:
    """Return the codes that calls of some functions in some rooms are made with."""
    found: set[str] = set()
    for room in rooms:
        for file in sorted((SOURCES / room).glob("*.py")):
            calls = (
                node
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in functions
            )
            for call in calls:
                codes = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "code")]
                found |= {str(one.value) for one in codes if isinstance(one, ast.Constant)}
    return found


REFUSALS = words(("collector", "wire"), {"KilowatchError", "_refuse"}) - STARTING
OUTCOMES = {*get_args(Status), NOT_CHRONOLOGICAL} - FAILED
FINDINGS = words(("pipeline",), {"Finding"})
WAITING = set(RETRY_AFTER_S) | set(TITLES)


@pytest.mark.parametrize("code", sorted(REFUSALS | OUTCOMES | FINDINGS | WAITING))
def test_every_answer_and_finding_has_its_line(code: str) -> None:
    """Whoever meets a word in an answer or on a page finds here what became of the packet."""
    assert code in NAMED


@pytest.mark.parametrize("quality", [one.name.lower() for one in Quality])
def test_every_quality_has_its_line(quality: str) -> None:
    """A figure that is marked in any way leads back to what happened to its packets."""
    assert quality in NAMED


def test_the_codes_are_really_found() -> None:
    """The search above sees what it is there for, also where the code is passed on."""
    assert {"invalid_json", "typographic_quotes", "kind_mismatch", "not_durable"} <= REFUSALS
    assert {"backfill.conflict", "stream.failed"} <= FINDINGS
    assert {"accepted", "backfilled", "discarded", "duplicate", "removed"} <= OUTCOMES
    assert len(REFUSALS) > 35


def test_the_page_names_no_code_that_is_gone() -> None:
    """A code that was renamed does not linger in the tables of refusals."""
    text = PAGE.read_text(encoding="utf-8")
    refusals = text.partition("## Refusals that")[2].partition("## What an accepted")[0]
    firsts = re.findall(r"^\| (`[a-z_`, ]+`) \|", refusals, re.MULTILINE)
    named = {code for cell in firsts for code in re.findall(r"[a-z_]+", cell)}
    assert len(named) > 35
    assert named - REFUSALS - words(("log",), {"KilowatchError"}) == set()
