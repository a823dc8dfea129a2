"""The contract is whole: every row of its page has a test."""

import importlib
import re
from pathlib import Path

from tests.collector.harness import ROWS_SHOWN

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "integrate" / "push-api.md"


def test_every_row_of_every_table_has_a_test() -> None:
    """Whoever reads the page can find each sentence shown, and none can be added without."""
    for file in sorted(HERE.glob("test_*.py")):
        importlib.import_module(f"tests.collector.{file.stem}")
    rows = re.findall(r"^\| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    headings = {"---", "what", "what comes", "parameter", "status", "method and path"}
    wanted = [row for row in rows if row not in headings]
    assert len(wanted) > 70
    missing = [row for row in wanted if row not in ROWS_SHOWN]
    assert not missing, missing
    assert not ROWS_SHOWN - set(wanted)
