"""The security page points at tests: each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "security.md").read_text(encoding="utf-8")


def test_every_test_that_the_security_page_names_exists() -> None:
    """A promise that nobody tests any more must not stand there as shown."""
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(named) > 50
    assert not named - there


def test_every_requirement_of_the_table_has_a_test_or_a_document() -> None:
    """No line claims anything without saying where it is shown."""
    lines = re.findall(r"^\| (\d+\.\d+\.\d+[^|]*)\|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE)
    assert len(lines) > 35
    for number, shown in lines:
        assert "`test_" in shown or "this page" in shown, number
