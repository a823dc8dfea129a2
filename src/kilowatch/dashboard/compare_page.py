"""Compare: sites and data points side by side, per square metre, degree day or piece.

``/data/compare`` answers what is drawn; its query is that of the page (``compare_read.py``).
Answer::

    unit, per, per_unit, grain, first (first day of each bucket), last (their last days)
    items  in order of rank: key, name, href, total, per, without (why there is no ``per``, with
           ``set_href`` where somebody may set what is missing), money, currency, money_share,
           carbon_kg, carbon_share, complete, change, compared (days), value and complete_of by
           bucket (per square metre where that is asked for); behind (where the figures come from,
           as ``behind.py`` has it), money_basis and carbon_basis (prices and factors in words),
           divided, by and by_source (what makes ``per``), own_compared and other_compared (what
           makes ``change``)
    level  whether means are compared, of what has no sum: ``total``, ``value`` are means, an item
           has low and high, and ``difference`` in place of ``change``
    other  the name of the days beside; "" where nothing is compared
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import has_tool, may
from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.behind import NAMED, Behind, Part, sources_told
from kilowatch.dashboard.chart_files import csv_answer
from kilowatch.dashboard.chart_period import navigation
from kilowatch.dashboard.compare_levels import POWER, QUANTITIES, Levels
from kilowatch.dashboard.compare_peaks import Peak, peaks_of
from kilowatch.dashboard.compare_read import (
    AGAINST,
    ITEMS_MAX,
    PERIODS,
    Asked,
    Item,
    exportable_points,
    read,
)
from kilowatch.dashboard.compare_rows import Row, bucket_names, rows_of, series_of
from kilowatch.dashboard.compare_sums import GRAINS, PERS
from kilowatch.dashboard.data import json_answer
from kilowatch.dashboard.periods import iso_local
from kilowatch.dashboard.places import site_names
from kilowatch.dashboard.recomputed import share_done
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.parameters import channel_name, phase_of
from kilowatch.model.site_facts import EARNED
from kilowatch.model.units import rate_unit

COUNTED = ("Wh", "m3", "pcs", "kg")
"""Units that go without saying, cubic metres only of water."""
TO_SET = {"area": "", "thermometer": "/weather"}
"""Where, below a site's page of administration, what is missing can be set."""


async def compare(request: Request) -> Response:
    """Show the frame; what is in it comes from ``/data/compare``."""
    return await run_in_threadpool(_page, request)


async def compare_data(request: Request) -> Response:
    """Answer ``/data/compare``; its shape stands at the top of this module."""
    return json_answer(await run_in_threadpool(_data, request))


async def compare_csv(request: Request) -> Response:
    """Answer the ranking as a file, or with ``table=values`` the chart's figures."""
    return await run_in_threadpool(_csv, request)


def _page(request: Request) -> Response:
    asked = read(request)
    crumbs = [{"name": t("nav.compare")}]
    context: dict[str, Any] = {"page": "compare", "asked": asked}
    if asked.span is not None:
        names = site_names(request)
        context |= {
            "kinds": [(one, kind_text(one)) for one in asked.kinds],
            "periods": PERIODS,
            "grains": GRAINS,
            "pers": PERS,
            "against": AGAINST,
            "items_max": ITEMS_MAX,
            "address": _address(asked),
            "toggled": lambda key: "/compare?" + urlencode(asked.with_item(key), doseq=True),
            "sites": {number: names.get(number, ("", ""))[0] for number in asked.candidates},
            "exports": exportable_points(visit_of(request).person, asked.items),
            "recomputing": share_done(
                rooms_of(request).view, (point for one in asked.items for point in one.points)
            ),
            **navigation(asked.span, None, {}),
        }
        for way in ("previous", "next"):
            if context[way] is not None:
                context[way] = asked.query(**context[way])
    return page(request, "compare.html", crumbs, context)


def kind_text(kind: str) -> str:
    """Return what people call a kind: "Electricity", "Electricity [kW]", "Phase voltage [V]"."""
    utility, _, word = kind.partition(":")
    name = t(f"utility.{utility}")
    if word in QUANTITIES and word != POWER:
        level = t(f"comparing_level.{word}")
        return level if utility == "electricity" else f"{name}: {level}"
    plain = word in COUNTED and (word != "m3" or utility == "water")
    if plain and utility != "other":
        return name
    unit = {"Wh": "kWh", "W": "kW"}.get(word) or word.replace("m3", "m³").replace("m2", "m²")
    return f"{name} [{unit}]"


def _address(asked: Asked) -> str:
    return urlencode(asked.query(), doseq=True)


def _data(request: Request) -> dict[str, Any]:
    asked = read(request)
    if asked.span is None or not asked.items:
        return {"unit": "", "items": [], "first": [], "last": [], "other": ""}
    first, last = bucket_names(asked.span.first, asked.span.days, asked.grain)
    rows = ranked(rows_of(request, asked))
    return {
        "unit": asked.unit,
        "utility": asked.utility,
        "per": asked.per,
        "level": asked.level,
        "grain": asked.grain,
        "first": first,
        "last": last,
        "other": asked.other.name if asked.other else "",
        "items": [_item(request, asked, row) for row in rows],
    }


def ranked(rows: list[Row]) -> list[Row]:
    """Return rows with the highest first; those without a figure at the end, by their names."""
    return sorted(
        rows,
        key=lambda row: (
            row.per.value is None,
            -(row.per.value or 0.0),
            -(row.days.total or 0.0),
            row.item.name,
        ),
    )


def _item(request: Request, asked: Asked, row: Row) -> dict[str, Any]:
    assert asked.span is not None
    site = rooms_of(request).registry.facts().get(row.item.site_id)
    area = site.area_m2 if site and asked.per == "area" else None
    without = asked.per == "area" and not area
    drawn = series_of(row, asked.span.first, asked.grain, area)
    return {
        "key": row.item.key,
        "name": row.item.name,
        "href": _href(row.item, asked),
        "total": row.days.total,
        "per": row.per.value,
        "per_unit": row.per.unit,
        "without": row.per.without,
        "set_href": _set_href(request, row.item, row.per.without),
        "money": row.money.value,
        "currency": row.money.unit,
        "money_share": row.money.share,
        "carbon_kg": row.carbon.value,
        "carbon_share": row.carbon.share,
        "complete": row.days.completeness,
        "change": row.change.share if row.change else None,
        "compared": row.change.days if row.change else 0,
        "behind": _behind(request, asked, row),
        "money_basis": row.money.basis,
        "carbon_basis": row.carbon.basis,
        "divided": row.per.divided,
        "by": row.per.by,
        "by_source": row.per.source,
        "own_compared": row.change.own if row.change else None,
        "other_compared": row.change.other if row.change else None,
        "difference": row.change.difference if row.change else None,
        "own_by": row.change.by[0] if row.change and row.change.by else None,
        "other_by": row.change.by[1] if row.change and row.change.by else None,
        "low": row.days.lowest if isinstance(row.days, Levels) else None,
        "high": row.days.highest if isinstance(row.days, Levels) else None,
        "value": [None] * len(drawn["value"]) if without else drawn["value"],
        "complete_of": drawn["complete"],
    }


def _behind(request: Request, asked: Asked, row: Row) -> dict[str, Any]:
    assert asked.span is not None
    by_id = {point.id: point for point in row.item.points}
    largest = sorted(row.days.parts.items(), key=lambda one: -abs(one[1]))
    parts = [Part(by_id[one].name, amount, asked.unit) for one, amount in largest]
    known = int(np.isfinite(row.days.amount).sum())
    days = int((row.days.passed > 0).sum())
    return Behind(
        t("why_of.compared_level" if asked.level else "why_of.compared"),
        sources_told(request, [by_id[one] for one, _ in largest]),
        f"{asked.span.name}, {row.item.zone}",
        t("why.days_known", n=days, known=known),
        row.days.completeness,
        row.days.shares,
        parts=parts[:NAMED] if len(parts) > 1 else (),
    ).columns()


def _href(item: Item, asked: Asked) -> str:
    if item.key.startswith("s"):
        return f"/site/{item.site_id}"
    assert asked.span is not None
    days = {"period": "custom", "date": asked.span.first, "until": asked.span.last}
    if asked.word in QUANTITIES and item.points[0].kind == "electrical":
        codes = QUANTITIES[asked.word][1]
        days["show"] = channel_name(codes[0] - phase_of(codes[0]))
    return f"/breakdown/{item.points[0].id}?{urlencode(days)}"


def _set_href(request: Request, item: Item, without: str) -> str:
    """Return where what is missing can be set; "" for who may not."""
    who, owner = visit_of(request).person, item.points[0].organisation_id
    if without not in TO_SET or not has_tool(who, "admin", owner):
        return ""
    if not may(who, "manage", organisation_id=owner, site_id=item.site_id):
        return ""
    return f"/admin/sites/{item.site_id}{TO_SET[without]}"


def _csv(request: Request) -> Response:
    asked = read(request, to_export=True)
    if asked.span is None or not asked.items:
        return csv_answer("compare", [t("comparing.item")], [])
    rows = ranked(rows_of(request, asked))
    name = f"compare {asked.utility} {asked.span.first}"
    if request.query_params.get("table") == "values":
        return _values(asked, rows, name)
    if asked.level:
        return _levels(asked, rows, name)
    unit = asked.unit
    per = next((row.per.unit for row in rows if row.per.unit), "")
    head = [
        t("comparing.item"), f"{t('comparing.total')} [{unit}]",
        f"{t(f'comparing_per.{asked.per}')} [{unit}{f'/({per})' if per else ''}]",
        t("comparing.earned" if asked.utility in EARNED else "comparing.money"),
        t("comparing.currency"), f"{t('comparing.carbon')} [kg]",
        t("comparing.complete"), t("comparing.change"), t("comparing.compared"),
        f"{t('comparing.peak')} [{rate_unit(unit)}]", t("comparing.peak_at"),
        t("comparing.peak_minutes"),
    ]  # fmt: skip
    found = peaks_of(rooms_of(request), asked)

    def peak(item: Item) -> list[Any]:
        one = found[item.key]
        if not isinstance(one, Peak):
            return [None, None, None]
        return [one.demand, iso_local(one.start_ms, item.zone), one.length_s // 60]

    return csv_answer(
        name,
        head,
        [
            [
                row.item.name, row.days.total, row.per.value, row.money.value, row.money.unit,
                row.carbon.value, row.days.completeness,
                row.change.share if row.change else None, row.change.days if row.change else 0,
                *peak(row.item),
            ]
            for row in rows
        ],
    )  # fmt: skip


def _levels(asked: Asked, rows: list[Row], name: str) -> Response:
    unit, words = asked.unit, ("mean", "lowest", "highest")
    of = f" [{unit}]" if unit else ""
    head = [t("comparing.item"), *(f"{t(f'comparing.{word}')}{of}" for word in words)]
    head += [t("comparing.complete"), f"{t('comparing.change')}{of}", t("comparing.compared")]
    return csv_answer(
        name,
        head,
        [
            [row.item.name, days.total, days.lowest, days.highest, days.completeness,
             row.change.difference if row.change else None, row.change.days if row.change else 0]
            for row in rows
            if isinstance(days := row.days, Levels)
        ],
    )  # fmt: skip


def _values(asked: Asked, rows: list[Row], name: str) -> Response:
    assert asked.span is not None
    first, last = bucket_names(asked.span.first, asked.span.days, asked.grain)
    drawn = [series_of(row, asked.span.first, asked.grain, None)["value"] for row in rows]
    head = [t("comparing.first"), t("comparing.last")]
    head += [f"{row.item.name} [{asked.unit}]" for row in rows]
    values = [
        [begin, end, *(column[number] for column in drawn)]
        for number, (begin, end) in enumerate(zip(first, last, strict=True))
    ]
    return csv_answer(f"{name} {asked.grain}", head, values)


DOORS: tuple[Door, ...] = (
    Door("/compare", compare, Access.SIGNED_IN, tool="compare"),
    Door("/data/compare", compare_data, Access.SIGNED_IN, tool="compare"),
    Door("/data/compare.csv", compare_csv, Access.EXPORT_SOMEWHERE, tool="export"),
)
