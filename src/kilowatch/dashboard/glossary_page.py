"""What the words and figures of the pages mean, each with a place that a link can name."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.insight import WASTE_KINDS, EventKind

TERMS = (
    "expected", "band", "actual", "forecast", "source", "event", "waste", "anomaly", "confidence",
    "near_base", "best_month", "near_peak", "load_factor", "opening", "money", "carbon", "quality",
    "saved", "states",
)  # fmt: skip
"""In the order in which somebody meets them."""


async def glossary(request: Request) -> Response:
    """Show every word with what it means."""
    return await run_in_threadpool(_glossary, request)


def _glossary(request: Request) -> Response:
    kinds = sorted(EventKind, key=lambda kind: (kind not in WASTE_KINDS, t(f"event_kind.{kind}")))
    context = {
        "page": "glossary",
        "terms": [(one, t(f"term.{one}"), t(f"term_about.{one}")) for one in TERMS],
        "kinds": [
            (
                kind,
                "waste" if kind in WASTE_KINDS else "anomaly",
                t(f"event_kind.{kind}"),
                t(f"event_about.{kind}"),
            )
            for kind in kinds
        ],
    }
    return page(request, "glossary.html", [{"name": t("nav.glossary")}], context)


DOORS: tuple[Door, ...] = (Door("/glossary", glossary, Access.SIGNED_IN),)
