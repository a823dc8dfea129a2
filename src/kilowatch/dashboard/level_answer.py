"""Breakdown of a site or of a meter: a total, stacked by what is right below, and the rest.

The data endpoint answers what ``answer.py`` documents, so that the same page draws it, with a
channel for each band, and the ``total`` apart: ``channel``, ``title``, ``band`` (``child``,
``others``, ``remainder``) and ``href``, where a click leads. Figures name the data points behind
them (``points``), and what they add up to (``parts``). ``utilities`` are those to choose from
(``utility`` in the address); ``notes`` name what is in no band (``too_coarse``), count the buckets
whose rest is ``negative``, and say ``demand_too_long``. ``compare`` may be another site (``s3``)
too; its total lies beside the total, and its own stack in a panel below, on the same scale: its
bands are among the channels of ``compare`` (``beside`` is null), ``compare.total`` and
``compare.bands`` are the total and the figures as ``statistics`` has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from starlette.requests import Request

from kilowatch.dashboard.alignment import Asked, asked_of, window_beside
from kilowatch.dashboard.answer import Sources, window_columns
from kilowatch.dashboard.comparing import beside_span, changes
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.demand_beside import changed_demand
from kilowatch.dashboard.drawn import refuse_more_than
from kilowatch.dashboard.figures import elapsed_ms
from kilowatch.dashboard.level import Place, asked_kind
from kilowatch.dashboard.level_bands import Asker, Now, bands_of, total_rows_of
from kilowatch.dashboard.level_side import Side, before, other_bands, other_side
from kilowatch.dashboard.level_total import Totals
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import Window, local_day
from kilowatch.dashboard.pricing import CANONICAL, asked_worth, rates
from kilowatch.dashboard.recomputed import share_done
from kilowatch.dashboard.rooms import Rooms, rooms_of
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Ints
from kilowatch.model.calendar import Grain
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.tree_bands import Stack
from kilowatch.pipeline.tree_rollups import TreeRollUp


def site_answer(request: Request, place: Place) -> dict[str, Any]:
    """Break a place down for the days that an address asks for. Blocks on the store.

    Raises:
        KilowatchError: 400 for a query that cannot be read, 404 for what it is compared with and
            is not there, 503 ``store_busy``.
    """
    rooms, query = rooms_of(request), request.query_params
    now_ms = rooms.clock()
    kind = asked_kind(place, query.get("utility", ""))
    totals = Totals(rooms.view, now_ms)
    whole_place = totals.add(place, kind)
    proxy, points = whole_place.proxy, whole_place.points
    versus, worth = (
        asked_of(query.get("compare", ""), sites=True),
        asked_worth(query.get("worth", "")),
    )
    other = other_side(request, totals, whole_place, versus)
    extent = totals.extent(proxy)
    today = local_day(now_ms, place.site.zone)
    last_ms = extent.last_ms if extent else None
    anchor = min(today, local_day(last_ms, proxy.zone)) if last_ms else today
    frame = window_beside(query, proxy, other, anchor)
    grain = _grain(frame, proxy, rooms.settings.rows_max)
    _expect(totals, versus, frame, proxy, grain)
    facts = rooms.registry.facts().get(place.site.id)
    asker = Asker(totals, whole_place, facts, (frame.from_ms, frame.to_ms), grain)
    stack, edges, tree = asker.stack()
    elapsed = elapsed_ms(frame.from_ms, frame.to_ms, now_ms, last_ms, proxy.gap_ms)
    now = Now(now_ms, elapsed, frame.from_ms + elapsed)
    sources = Sources(
        cast("View", totals), rooms.settings, now_ms,
        facts=lambda site: rooms.registry.facts().get(site), demands=rooms.demands,
    )  # fmt: skip
    fine = totals.add(place, kind, fine=True)
    side = Side(sources, totals, whole_place, fine, frame, now.until_ms, worth)
    rows = total_rows_of(proxy, stack, edges, now_ms, whole_place.code)
    demand = side.demand(rows) if extent else None
    beside = side.beside(other, versus) if versus and extent else None
    own = bands_of(request, asker, (stack, edges, tree), worth, now)
    parameter = {
        "name": "total", "title": t(f"utility.{kind[0]}"), "group": "", "unit": own.unit,
        "measure": "amount", "summable": False, "phases": 0,
    }  # fmt: skip
    whole = own.statistics[-1]
    found: dict[str, Any] = {
        "point": {
            "id": place.site.id, "name": place.name, "zone": place.site.zone, "utility": kind[0],
            "interval_s": proxy.interval_s,
        },
        "state": _state(query, frame, kind, worth, versus),
        "window": window_columns(frame, proxy, now_ms, extent.first_ms if extent else None),
        "extent": {
            "first_ms": extent.first_ms, "last_ms": extent.last_ms, "packets": 2,
            "first_day": local_day(extent.first_ms, proxy.zone).isoformat(),
            "last_day": local_day(extent.last_ms, proxy.zone).isoformat(),
        } if extent else None,
        "sources": whole["points"],
        "utilities": [
            {"word": "-".join(one), "text": t(f"utility.{one[0]}"), "unit": one[1]}
            for one in place.kinds()
        ],
        "parameters": [],
        "parameters_shown": [parameter],
        "channels": own.channels,
        "total": own.total,
        "statistics": own.statistics,
        "summary": [whole],
        "demand": demand,
        "compare": beside,
        "worth": {"shown": worth, "available": kind[1] in CANONICAL, **own.told},
        "status": _status(rooms, points, now_ms),
        "notes": _notes(place, stack, tree, edges) | {"demand_too_long": side.too_much},
    }  # fmt: skip
    if beside is None or versus is None:
        return found
    changes(found["statistics"], beside["statistics"])
    changes(found["summary"], beside["summary"])
    changed_demand(demand, beside["demand"])
    if versus.kind != "point":
        over_time = rates(facts, *kind, worth) if worth != "energy" else None
        then = before(whole_place, totals, beside["window"], over_time)
        for band, entry in zip(own.bands, found["statistics"], strict=False):
            entry["change"] = then.change(band, entry["total"])
    elif (theirs := totals.whole_of(other)) is not None:
        zone = place.site.zone
        bands = other_bands(request, sources, theirs, beside, zone, grain, worth)
        beside |= bands | {"parameters_shown": [parameter | {"unit": bands["unit"]}]}
    return found


def _grain(frame: Window, proxy: DataPoint, rows_max: int) -> Grain:
    """Return the buckets of the stack: none finer than what is measured, nor too many.

    Raises:
        KilowatchError: 400 ``too_many_rows``.
    """
    asked = frame.asked
    if asked != "interval" and not isinstance(asked, int):
        return asked
    length_s = proxy.interval_s if asked == "interval" else max(asked, proxy.interval_s)
    refuse_more_than(rows_max, (frame.to_ms - frame.from_ms) // (length_s * 1000))
    return length_s


def _expect(
    totals: Totals, versus: Asked | None, frame: Window, proxy: DataPoint, grain: Grain
) -> None:
    """Say which other days will be read too."""
    if versus is not None and versus.kind != "point":
        totals.expect([(frame.from_ms, frame.to_ms), beside_span(versus, frame, proxy)[2]], grain)


def _state(
    query: Mapping[str, str],
    frame: Window,
    kind: tuple[str, str],
    worth: str,
    versus: Asked | None,
) -> dict[str, str]:
    return {
        "period": frame.period, "date": frame.first.isoformat(),
        "until": frame.last.isoformat() if frame.period == "custom" else "",
        "grain": frame.grain, "utility": "-".join(kind) if query.get("utility") else "",
        "compare": versus.word if versus else "", "worth": "" if worth == "energy" else worth,
    }  # fmt: skip


def _status(rooms: Rooms, points: Sequence[DataPoint], now_ms: int) -> dict[str, Any]:
    late = Judge(rooms.view, rooms.settings, now_ms).late(list(points))
    return {"late": False, "came_ms": None, "lags": False, "join_ms": 0,
            "recomputing": share_done(rooms.view, points), "late_points": late}  # fmt: skip


def _notes(place: Place, stack: Stack, tree: TreeRollUp, edges: Ints) -> dict[str, Any]:
    below = sum(int(np.count_nonzero(one.amount < -1e-6)) for one in stack.bands if one.remainder)
    return {
        "negative": below,
        "too_coarse": sorted(place.points[one].name for one in tree.too_coarse
                             if one in place.points)[:10],
        "buckets": len(edges) - 1,
    }  # fmt: skip
