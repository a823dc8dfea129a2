"""What an event is seen by: its hours and what was around them, its day beside normal days."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from kilowatch.dashboard.event_quantity import quantity
from kilowatch.dashboard.hourly import (
    Hourly,
    actual_columns,
    band_columns,
    by_point,
    hourly,
    in_short,
    nullable,
    unit_of_rate,
)
from kilowatch.dashboard.insight_rows import Shown
from kilowatch.dashboard.needs import Insights, View
from kilowatch.dashboard.periods import local_day, midnight_ms, offsets
from kilowatch.dashboard.quality_periods import day_text
from kilowatch.dashboard.sentinel import mark_of
from kilowatch.dashboard.waste_spans import counted_of, spans_of
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS
from kilowatch.model.zones import Zone

PAD_MS = (2 * DAY_MS, 7 * DAY_MS)
"""Least and most time that is shown before and after an event."""
SHOWN_MS_MAX = 120 * DAY_MS
WEEKS_BACK = 8
DAYS_MIN = 3
"""Fewer normal days than that are no normal day."""


def evidence(
    view: View, insights: Insights, shown: Shown, others: Sequence[Shown], now_ms: int
) -> dict[str, Any]:
    """Return what the page of an event draws.

    Args:
        view: Measurements.
        insights: What was expected.
        shown: The event.
        others: Other events of the data point, marked too.
        now_ms: What time it is [ms since 1970, UTC].

    Returns:
        ``near``: hours around the event as ``band.js`` draws them; where it is waste and what was
        needed is known, that and what is counted stand in the place of the band of forecasts,
        which has learnt the waste; ``day``: its strongest day over
        the same weekday of the weeks before, or null where there are too few, or where the event is
        electrical; then ``quantity`` is what ``quantity.js`` draws, else null.
    """
    point, event = shown.point, shown.event
    from_ms, to_ms = window(event.start_ms, event.end_ms, point.zone, now_ms)
    found = by_point(hourly(view, [point], from_ms, to_ms), point)
    spans = spans_of(insights, [shown, *others], from_ms, to_ms)
    marks = [
        *(mark_of(one, spans) for one in others if one.event.id != event.id),
        mark_of(shown, spans, strong=True),
    ]
    near = {
        "utility": point.utility,
        "unit": unit_of_rate(point),
        "zone": point.zone,
        "offsets": offsets(from_ms, to_ms, point.zone),
        "from_ms": from_ms,
        "to_ms": to_ms,
        "now_ms": now_ms,
        "actual": actual_columns(view, point, found, (from_ms, to_ms), now_ms),
        "band": None,
        "marks": marks,
        **_needed(insights, shown, from_ms, to_ms),
    }
    if "need" not in near:
        near["band"] = band_columns(insights.expected(point, from_ms, to_ms))
    own = quantity(view, point, event, (from_ms, to_ms), now_ms, marks)
    return {
        "near": near,
        "quantity": own,
        "day": None if own else _day(view, insights, shown, now_ms),
    }


def _needed(insights: Insights, shown: Shown, from_ms: int, to_ms: int) -> dict[str, Any]:
    """Return what was needed and what is counted as waste, where both are known."""
    if not shown.event.is_waste:
        return {}
    need = insights.needed(shown.point, from_ms, to_ms)
    starts, amounts = counted_of(insights, shown, from_ms, to_ms)
    if not np.isin(starts, need.start_ms).any():
        return {}
    return {
        "need": {"start": need.start_ms.tolist(), "value": nullable(in_short(need.rate))},
        "counted": {"start": starts.tolist(), "value": nullable(in_short(amounts))},
    }


def window(start_ms: int, end_ms: int, zone: str, now_ms: int) -> tuple[int, int]:
    """Return whole local days around an event, as long again before and after it [ms]."""
    pad = min(max(end_ms - start_ms, PAD_MS[0]), PAD_MS[1])
    first = local_day(start_ms - pad, zone)
    last = local_day(min(end_ms + pad, max(now_ms, end_ms)) - 1, zone)
    from_ms, to_ms = midnight_ms(first, zone), midnight_ms(last + timedelta(1), zone)
    return max(from_ms, to_ms - SHOWN_MS_MAX), to_ms


def _day(view: View, insights: Insights, shown: Shown, now_ms: int) -> dict[str, Any] | None:
    """Return the strongest day of an event beside the same weekday of the weeks before."""
    point, event = shown.point, shown.event
    zone = point.zone
    day = _strongest(view, insights, shown)
    # What is normal was before the event: its own days would make it so.
    began = local_day(event.start_ms, zone)
    weeks = max(1, -(-((day - began).days + 1) // 7))
    begin = midnight_ms(day - timedelta(7 * (weeks + WEEKS_BACK)), zone)
    end = midnight_ms(day + timedelta(1), zone)
    hours = by_point(hourly(view, [point], begin, end), point)
    before = [day - timedelta(7 * week) for week in range(weeks, weeks + WEEKS_BACK)]
    normal = np.stack([profile(hours, one, zone) for one in before])
    normal = normal[np.isfinite(normal).sum(axis=1) >= 20]
    if len(normal) < DAYS_MIN:
        return None
    low, middle, high = np.nanpercentile(normal, (10, 50, 90), axis=0)
    starts = [hour * HOUR_MS for hour in range(24)]
    midnight = midnight_ms(day, zone)
    weekday = t(f"day.{day.weekday()}")
    return {
        "utility": point.utility,
        "unit": unit_of_rate(point),
        "from_ms": 0,
        "to_ms": DAY_MS,
        "now_ms": -1,
        "title": t("event.day_against", day=day_text(day), weekday=weekday, n=len(normal)),
        "today": t("event.day_short", weekday=weekday, day=day.day, month=t(f"month.{day.month}")),
        "usual": t("event.day_usual", weekday=weekday),
        "actual": {
            "start": starts,
            "value": nullable(own := profile(hours, day, zone)),
            "missing": _lost(own, (end - midnight) // HOUR_MS, (now_ms - midnight) // HOUR_MS),
        },
        "normal": {
            "start": starts, "low": nullable(low), "mid": nullable(middle), "high": nullable(high),
        },
        "marks": [
            {
                "from": max(0, event.start_ms - midnight),
                "to": min(DAY_MS, event.end_ms - midnight),
                "tone": shown.tone, "title": "", "fill": False, "strong": True,
            } | _wasted_of_day(insights, shown, midnight, end)
        ],
    }  # fmt: skip


def _wasted_of_day(
    insights: Insights, shown: Shown, from_ms: int, to_ms: int
) -> dict[str, list[list[int]]]:
    """Return in which hours of a local day something was wasted, by its clock; none if in none."""
    if not shown.event.is_waste:
        return {}
    zone = Zone.of(shown.point.zone)
    start_ms = insights.waste([shown.point], from_ms, to_ms).start_ms
    spans: list[list[int]] = []
    for at_ms in np.unique(zone.local_ms(start_ms) % DAY_MS).tolist():
        if spans and spans[-1][1] == at_ms:
            spans[-1][1] += HOUR_MS
        else:
            spans.append([at_ms, at_ms + HOUR_MS])
    return {"spans": spans} if spans else {}


def _most_wasted(insights: Insights, shown: Shown, from_ms: int, to_ms: int) -> date | None:
    """Return the local day of waste on which most of its own kind was wasted; None if unknown.

    A base that crept up is seen on a day on which it was up, not on one with a busy afternoon.
    """
    hours = insights.waste([shown.point], from_ms, to_ms)
    kind = list(EventKind).index(shown.event.kind)
    own = hours.take(hours.kind == kind) if (hours.kind == kind).any() else hours
    days: dict[date, float] = {}
    for at_ms, amount in zip(own.start_ms.tolist(), own.amount.tolist(), strict=True):
        day = local_day(at_ms, shown.point.zone)
        days[day] = days.get(day, 0.0) + amount
    return max(days, key=lambda day: (days[day], day)) if days else None


def _strongest(view: View, insights: Insights, shown: Shown) -> date:
    """Return the local day of an event that differs most from what was expected, or needed."""
    point, event = shown.point, shown.event
    zone = point.zone
    from_ms = event.start_ms // HOUR_MS * HOUR_MS
    to_ms = min(event.end_ms, from_ms + SHOWN_MS_MAX)
    if event.is_waste and (day := _most_wasted(insights, shown, from_ms, to_ms)):
        return day
    count = max(1, (to_ms - from_ms) // HOUR_MS)
    actual = by_point(hourly(view, [point], from_ms, to_ms), point).on_grid(from_ms, count)
    expected = insights.expected(point, from_ms, to_ms)
    wanted = Hourly(expected.start_ms, expected.rate[2]).on_grid(from_ms, count)
    days: dict[date, float] = {}
    for index, excess in enumerate(np.nan_to_num(actual - wanted).tolist()):
        day = local_day(from_ms + index * HOUR_MS, zone)
        days[day] = days.get(day, 0.0) + excess
    # Of an event that is more than expected, the day with most; of less, the one with least.
    sign = -1.0 if event.amount < 0 else 1.0
    return max(days, key=lambda day: sign * days[day])


def _lost(hours: Floats, length: int, passed: int) -> list[list[int]]:
    """Return the hours of a day that have passed and are not known [ms from its midnight].

    Of a day on which the clocks change nothing is said: an hour of it is missing, or there twice.
    """
    if length != len(hours):
        return []
    lost = np.flatnonzero(np.isnan(hours[: max(0, passed)])).tolist()
    return [[one * HOUR_MS, (one + 1) * HOUR_MS] for one in lost]


def profile(hours: Hourly, day: date, zone: str) -> Floats:
    """Return the 24 hours of a local day by its clock; of an hour that comes twice, the mean."""
    from_ms, to_ms = midnight_ms(day, zone), midnight_ms(day + timedelta(1), zone)
    inside = (hours.start_ms >= from_ms) & (hours.start_ms < to_ms)
    shifts = offsets(from_ms, to_ms, zone)
    laid, counts = np.zeros(24), np.zeros(24)
    for at_ms, rate in zip(
        hours.start_ms[inside].tolist(), hours.rate[inside].tolist(), strict=True
    ):
        offset = [minutes for since, minutes in shifts if since <= at_ms][-1]
        hour = (at_ms + offset * MINUTE_MS) % DAY_MS // HOUR_MS
        laid[hour] += rate
        counts[hour] += 1
    found: Floats = np.where(counts > 0, laid / np.maximum(counts, 1), np.nan)
    return found
