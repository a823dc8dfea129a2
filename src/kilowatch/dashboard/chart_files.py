"""What a page of charts gives along as a file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from starlette.responses import Response

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_answer(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return rows as a CSV file; None is an empty cell, numbers have full precision.

    Args:
        name: Of the file, as people would say it; what a file system minds is replaced.
        head: Titles of the columns, with their units.
        rows: As many cells each.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([safe_cell(one) for one in row] for row in rows)
    file = re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-").lower() or "data"
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{file}.csv"'},
    )


def safe_cell(value: object) -> object:
    """Return a cell: a name that a spreadsheet would take for a formula is put in quotes."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(value) if value == value else ""  # noqa: PLR0124 - NaN
    if isinstance(value, str) and value.startswith(_FORMULA) and not _is_number(value):
        return f"'{value}"
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
