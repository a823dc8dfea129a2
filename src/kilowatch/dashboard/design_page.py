"""The design system on one page: tokens in both themes, and each component in every state.

Built from the macros and styles that the pages use, so that it shows what is, not what was meant.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.rooms import rooms_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.points import UTILITIES

TOKENS = Path(__file__).parent / "static" / "css" / "tokens.css"
STATES = ("fresh", "late", "never")
TYPE = ("size-1", "size-2", "size-3", "size-4")
SPACE_PX = (4, 8, 12, 16, 24, 32, 48)


async def design(request: Request) -> Response:
    """Show it all."""
    return await run_in_threadpool(_design, request)


def _design(request: Request) -> Response:
    context: dict[str, Any] = {
        "page": "design",
        "colours": colours(),
        "type": TYPE,
        "space": SPACE_PX,
        "states": STATES,
        "utilities": UTILITIES,
        "tiles": (
            (t("tile.total"), "412", "kWh", t("tile.counted")),
            (t("tile.peak"), "61.3", "kW", "11:30"),
            (t("design.unknown"), "\N{EN DASH}", "", t("tile.no_today")),
        ),
        "unit": "kWh",
        "rows": (("9 November 2026", "412.000"), ("10 November 2026", "\N{EN DASH}")),
        "line": f"curl {rooms_of(request).settings.push_address}",
        "problems": defaultdict(str, {"wrong": t("design.problem")}),
        "fields": {"right": t("design.example"), "wrong": "25 o'clock", "chosen": "b"},
    }
    return page(request, "design.html", [{"name": t("design.title")}], context)


@cache
def colours() -> list[str]:
    """Return the names of the colours, in the order of ``tokens.css``.

    Example:
        >>> {"electricity", "waste", "gap"} <= set(colours())
        True
    """
    first = TOKENS.read_text(encoding="utf-8").partition("}")[0]
    return re.findall(r"--([\w-]+): #[0-9a-f]{6};", first)


DOORS: tuple[Door, ...] = (Door("/design", design, Access.ADMINISTER_SOMEWHERE),)
