"""What ``/data/series`` answers: everything that Breakdown draws, in one message.

Query: ``point`` (number of the data point) and, all optional, ``period`` (``day``, ``week``,
``month``, ``year``, ``custom``), ``date`` and ``until`` (local days of the site, both included),
``grain`` (``interval``, ``5m``, ``15m``, ``30m``, ``hour``, ``day``, ``week``, ``month``, or a
number with ``s``, ``m`` or ``h``), ``show`` (names of parameters, ``aP,pC``), ``phases``
(``sum``, ``apart``), or ``channels`` (``pC_1,pC``) in place of the last two. What is left out is
chosen as the page would, and said in ``state``.

Answer, an object::

    point       id, series, stream_id, name, zone, kind, utility, unit, interval_s
    state       the query with every choice filled in
    window      period, first, last (local days), from_ms, to_ms, today, now_ms, zone offsets as
                [[from_ms, offset_min], ...], grain, grains on offer, previous and next period
    extent      first_ms, last_ms, first_day, last_day, packets; null before the first packet
    parameters  what the data point can show; parameters_shown: what is in ``channels``
    channels    one for each channel: channel (``pC``, ``aP_1``, ``value``), parameter, title,
                phase, measure (``amount`` or ``mean``), unit, and columns of equal length:
                start (ISO 8601, local with offset), start_ms, duration_ms, count, amount, mean,
                low, high, unallocated, covered_ms, quality
    statistics  total (unallocated included, once), unallocated, mean, low, high with their
                times, complete (0 to 1) and shares (of the covered time, what is edited, estimated
                and questionable, 0 to 1) for each channel; summary: the same for the first amount
                and the first mean, summed over phases
    demand      peak (highest mean over the demand period), peak_ms, period_s, load_factor,
                baseload, unit; null where nothing counts
    status      late, came_ms, lags, join_ms, recomputing

Instants are milliseconds since 1970 in UTC. Numbers are in canonical units (Wh, W, m3, m3/h,
°C, …) with full precision; null means unknown, never zero. Buckets without data have no row;
``amount`` never contains ``unallocated``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from kilowatch.catalog.spans import interval_text
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.figures import elapsed_ms, figures
from kilowatch.dashboard.needs import Extent, View
from kilowatch.dashboard.offered import (
    Parameter,
    channels_of,
    parameters_of,
    phase_title,
    shown,
)
from kilowatch.dashboard.periods import Grain, Window, iso_local, local_day, offsets, window
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats, IntervalBlock
from kilowatch.model.calendar import Zone
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME, PC, VALUE, channel_name, phase_of
from kilowatch.model.points import DataPoint
from kilowatch.pipeline.rollups import is_power_factor
from kilowatch.pipeline.statistics import statistics

Drawn = list[tuple[Parameter, int]]

RATE_UNIT = {"Wh": "W", "varh": "var", "m3": "m3/h", "kg": "kg/h", "pcs": "pcs/h"}
"""Unit of an amount per hour."""


def series_answer(
    view: View,
    point: DataPoint,
    query: Mapping[str, str],
    now_ms: int,
    settings: DashboardSettings,
) -> dict[str, Any]:
    """Read what a query asks for. Blocks on the store: call it in a thread.

    Raises:
        KilowatchError: 400 for a query that cannot be read, 503 ``store_busy``.
    """
    extent = view.extent(point)
    today = local_day(now_ms, point.zone)
    anchor = min(today, local_day(extent.last_ms, point.zone)) if extent else today
    frame = window(query, point, anchor)
    offered = parameters_of(point, view.channels(point) if extent else [])
    apart = query.get("phases") == "apart"
    drawn = _drawn(offered, query, apart=apart)
    telling = _telling(drawn)
    codes = sorted({code for _, code in (*drawn, *telling)})
    rows = (
        view.series(point, codes, frame.from_ms, frame.to_ms, frame.asked)
        if extent and codes
        else IntervalBlock.empty()
    )
    by_channel = {code: rows.take(rows.channel == code) for code in codes}
    _refuse_too_many(by_channel, settings.rows_max)
    elapsed = elapsed_ms(
        frame.from_ms, frame.to_ms, now_ms, extent.last_ms if extent else None, point.gap_ms
    )
    until_ms = frame.from_ms + elapsed
    names = [parameter.name for parameter in offered if parameter in [p for p, _ in drawn]]
    status = view.status(point) if extent else None
    fresh = Judge(view, settings, now_ms).of([point])[point.series]
    return {
        "point": _point(point),
        "state": _state(frame, names, apart=apart),
        "window": _window(frame, point, now_ms, extent),
        "extent": _extent(extent, point),
        "parameters": [_parameter(parameter) for parameter in offered],
        "parameters_shown": [_parameter(p) for p in offered if p.name in names],
        "channels": _channels(drawn, by_channel, point.zone),
        "statistics": _statistics(drawn, by_channel, elapsed, until_ms),
        "summary": _statistics(telling, by_channel, elapsed, until_ms),
        "demand": _demand(
            view, point, drawn, frame, min(frame.to_ms, now_ms), settings.demand_period_s
        )
        if extent
        else None,
        "status": {
            "late": fresh.state == "late",
            "came_ms": fresh.came_ms,
            "lags": fresh.lags,
            "join_ms": _join_ms(point, status.join_interval_s if status else 0),
            "recomputing": status.recomputing if status else None,
        },
    }


def _join_ms(point: DataPoint, join_interval_s: int) -> int:
    """Return how far apart the starts of two intervals may lie that a line joins [ms].

    Packets that come in a longer interval than registered drift over boundaries of the
    registered one: a quarter more is still the next packet.
    """
    if join_interval_s > point.interval_s:
        return join_interval_s * 1_250
    return point.interval_s * 1_000


def rate_unit(unit: str) -> str:
    """Return the unit of an amount per hour."""
    return RATE_UNIT.get(unit, f"{unit}/h")


def _drawn(offered: list[Parameter], query: Mapping[str, str], *, apart: bool) -> Drawn:
    if "channels" in query:
        return _named(offered, query["channels"])
    chosen = shown(offered, query.get("show") or None)
    return [
        (parameter, code) for parameter in chosen for code in channels_of(parameter, apart=apart)
    ]


def _telling(drawn: Drawn) -> Drawn:
    """Return the channels of the tiles: the first amount and the first mean, phases summed."""
    found: dict[str, tuple[Parameter, int]] = {}
    for parameter, code in drawn:
        total = code if parameter.total is None else parameter.total
        found.setdefault(parameter.measure, (parameter, total))
    return list(found.values())


def _statistics(
    wanted: Drawn, by_channel: Mapping[int, IntervalBlock], elapsed: int, until_ms: int
) -> list[dict[str, Any]]:
    return [
        {
            "channel": channel_name(code),
            "parameter_title": parameter.title,
            "phase_title": phase_title(code),
            "measure": parameter.measure,
            "unit": parameter.unit,
            "rate_unit": rate_unit(parameter.unit) if parameter.measure == "amount" else None,
            **asdict(figures(by_channel[code], parameter.measure, elapsed, until_ms)),
        }
        for parameter, code in wanted
    ]


def _named(offered: list[Parameter], text: str) -> Drawn:
    found: Drawn = []
    for name in text.split(","):
        code = CHANNEL_BY_NAME.get(name)
        owner = next((p for p in offered if code == p.total or code in p.phases), None)
        if code is None or owner is None:
            raise KilowatchError(
                "bad_channel",
                f"This data point has no channel {name!r}.",
                remedy="Its channels are those of the parameters in /data/series without one.",
            )
        found.append((owner, code))
    return found


def _refuse_too_many(by_channel: Mapping[int, IntervalBlock], rows_max: int) -> None:
    most = max((len(rows) for rows in by_channel.values()), default=0)
    if most > rows_max:
        raise KilowatchError(
            "too_many_rows",
            f"This period has {most:,} intervals, more than one graph can show.",
            remedy="Choose a coarser granularity or a shorter period.",
        )


def _point(point: DataPoint) -> dict[str, Any]:
    return {
        "id": point.id,
        "series": point.series,
        "stream_id": point.stream_id,
        "name": point.name,
        "zone": point.zone,
        "kind": point.kind,
        "utility": point.utility,
        "unit": point.unit,
        "interval_s": point.interval_s,
    }


def _state(frame: Window, names: Sequence[str], *, apart: bool) -> dict[str, str]:
    return {
        "period": frame.period,
        "date": frame.first.isoformat(),
        "until": frame.last.isoformat() if frame.period == "custom" else "",
        "grain": frame.grain,
        "show": ",".join(names),
        "phases": "apart" if apart else "sum",
    }


def _window(frame: Window, point: DataPoint, now_ms: int, extent: Extent | None) -> dict[str, Any]:
    today = local_day(now_ms, point.zone)
    begin = local_day(extent.first_ms, point.zone) if extent else today
    before, after = frame.step(-1), frame.step(1)
    grains = list(frame.grains)
    if frame.grain not in grains:
        grains.insert(0, frame.grain)
    return {
        "period": frame.period,
        "first": frame.first.isoformat(),
        "last": frame.last.isoformat(),
        "from_ms": frame.from_ms,
        "to_ms": frame.to_ms,
        "today": today.isoformat(),
        "now_ms": now_ms,
        "offsets": offsets(frame.from_ms, frame.to_ms, point.zone),
        "grain": frame.grain,
        "grains": [{"word": word, "text": grain_text(word, point.interval_s)} for word in grains],
        "previous": _span(before) if before[1] >= begin else None,
        "next": _span(after) if after[0] <= today else None,
    }


def grain_text(word: str, interval_s: int) -> str:
    """Return a granularity as people say it."""
    if word == "interval":
        return t("grain.interval", length=interval_text(interval_s))
    if word in ("hour", "day", "week", "month", "year"):
        return t(f"grain.{word}")
    return word.replace("m", " min").replace("s", " s").replace("h", " h")


def _span(days: tuple[Any, Any]) -> dict[str, str]:
    return {"first": days[0].isoformat(), "last": days[1].isoformat()}


def _extent(extent: Extent | None, point: DataPoint) -> dict[str, Any] | None:
    if extent is None:
        return None
    return {
        "first_ms": extent.first_ms,
        "last_ms": extent.last_ms,
        "first_day": local_day(extent.first_ms, point.zone).isoformat(),
        "last_day": local_day(extent.last_ms, point.zone).isoformat(),
        "packets": extent.packets,
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "title": parameter.title,
        "group": parameter.group,
        "unit": parameter.unit,
        "measure": parameter.measure,
        "summable": parameter.total is not None,
        "phases": sum(1 for code in parameter.phases if phase_of(code)),
    }


def _channels(
    drawn: Drawn, by_channel: Mapping[int, IntervalBlock], zone: str
) -> list[dict[str, Any]]:
    found = []
    starts: dict[bytes, list[str]] = {}  # channels of a data point mostly share their starts
    for parameter, code in drawn:
        rows = by_channel[code]
        key = rows.start_ms.tobytes()
        if key not in starts:
            starts[key] = [iso_local(at_ms, zone) for at_ms in rows.start_ms.tolist()]
        found.append(
            {
                "channel": channel_name(code),
                "parameter": parameter.name,
                "title": " ".join(part for part in (parameter.title, phase_title(code)) if part),
                "phase": phase_of(code),
                "phase_title": phase_title(code),
                "measure": parameter.measure,
                "unit": parameter.unit,
                "start": starts[key],
                "start_ms": rows.start_ms.tolist(),
                "duration_ms": rows.duration_ms.tolist(),
                "count": rows.count.tolist(),
                "amount": _nullable(_amounts(rows)),
                "mean": _nullable(rows.mean),
                "low": _nullable(rows.low),
                "high": _nullable(rows.high),
                "unallocated": _nullable(rows.unallocated),
                "covered_ms": rows.covered_ms.tolist(),
                "quality": rows.quality.tolist(),
            }
        )
    return found


def _amounts(rows: IntervalBlock) -> Floats:
    """Return the amounts; a power factor has none to show, only the weight of its mean."""
    return np.where(is_power_factor(rows.channel), np.nan, rows.amount)


def _nullable(values: Floats) -> list[float | None]:
    if np.isfinite(values).all():
        return list(values.tolist())
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _demand(
    view: View, point: DataPoint, drawn: Drawn, frame: Window, until_ms: int, demand_s: int
) -> dict[str, Any] | None:
    code, unit = _counted(point, drawn)
    if code is None or until_ms <= frame.from_ms:
        return None
    grain = _demand_grain(point.interval_s, demand_s)
    rows = view.series(point, [code], frame.from_ms, frame.to_ms, grain)
    found = statistics(rows, frame.from_ms, until_ms, Zone.of(point.zone), demand_s)
    if found.peak is None or found.peak.demand <= 0:
        return None
    return {
        "unit": rate_unit(unit),
        "peak": found.peak.demand,
        "peak_ms": found.peak.start_ms,
        "period_s": found.peak.duration_ms // 1000,
        "load_factor": found.load_factor if math.isfinite(found.load_factor) else None,
        "baseload": found.baseload if math.isfinite(found.baseload) else None,
    }


def _counted(point: DataPoint, drawn: Drawn) -> tuple[int | None, str]:
    """Return the channel that peak demand is taken from: the energy, or the single amount."""
    shown_codes = {code for _, code in drawn}
    if point.kind == "electrical":
        groups = {parameter.group for parameter, _ in drawn}
        return (PC, "Wh") if groups & {"Energy", "Power"} else (None, "")
    if VALUE in shown_codes and point.behaviour != "gauge" and point.unit_of_value.amount:
        return VALUE, point.unit_of_value.amount
    return None, ""


def _demand_grain(interval_s: int, demand_s: int) -> Grain:
    if interval_s >= demand_s:
        return "interval"
    for length_s in (demand_s, 1800):
        if length_s % interval_s == 0:
            return length_s
    return "hour"
