"""What ``/data/series`` answers: everything that Breakdown draws, in one message.

Query: ``point`` (number of the data point) and, all optional, ``period`` (``day``, ``week``,
``month``, ``year``, ``custom``), ``date`` and ``until`` (local days of the site, both included),
``grain`` (``interval``, ``5m``, ``15m``, ``30m``, ``hour``, ``day``, ``week``, ``month``, or a
number with ``s``, ``m`` or ``h``), ``show`` (names of parameters, ``aP,pC``), ``phases``
(``sum``, ``apart``), or ``channels`` (``pC_1,pC``) in place of the last two; ``compare``
(``previous``, ``year``, ``p17`` for another data point) and ``worth`` (``energy``, ``money``,
``co2``). What is left out is chosen as the page would, and said in ``state``.

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
    demand      peak (highest mean over the demand period), peak_ms, period_s (asked_s: that of
                the site), load_factor, baseload, mean, unit, complete (what they rest on, 0 to
                1), high (the highest reading of active power) and high_ms, power_factor: value
                (sum P over sum S, negative for export), nature (inductive: lags; capacitive:
                leads) and complete; null where nothing counts
    compare     null, or the other side: kind, point, window (its own days, how far back, what is
                aligned, until_ms while the period runs, zone offsets), channels (start_ms where
                they are drawn, -1 where nowhere; own_start_ms; beside: the channel that they lie
                beside, or null for one with a panel of its own), parameters_shown, statistics,
                summary, demand. Figures have a change: of, value of the other side, difference,
                share, complete; demand has that of its peak
    worth       shown (energy, money, co2), available (whether anything here has a price), share
                (of the amount that has one), basis (each price or factor: text, from_ms,
                from_day, whole_organisation)
    sources     the data points that the figures are from: id, name, stream_id, formula
    status      late, came_ms, lags, join_ms, recomputing

Instants are milliseconds since 1970 in UTC. Numbers are in canonical units (Wh, W, m3, m3/h,
°C, …) with full precision; null means unknown, never zero. Buckets without data have no row;
``amount`` never contains ``unallocated``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kilowatch.catalog.spans import interval_text
from kilowatch.dashboard.alignment import Asked, asked_of, window_beside
from kilowatch.dashboard.comparing import Compared, changes, compared, compared_columns
from kilowatch.dashboard.contact import Judge
from kilowatch.dashboard.demand import Demands, Period, demand_length_s, levels_of
from kilowatch.dashboard.demand_beside import changed_demand, demand_beside
from kilowatch.dashboard.drawn import (
    Chosen,
    channel_columns,
    chosen,
    means_of,
    parameter_columns,
    point_columns,
    read,
    refuse_too_many,
    statistics_of,
)
from kilowatch.dashboard.figures import elapsed_ms
from kilowatch.dashboard.needs import View
from kilowatch.dashboard.periods import Window, local_day, offsets
from kilowatch.dashboard.pricing import Pricing, Worth, asked_worth, can_be_priced
from kilowatch.dashboard.settings import DashboardSettings
from kilowatch.dashboard.words import t
from kilowatch.exports.needs import Extent
from kilowatch.model.blocks import IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import DataPoint
from kilowatch.model.site_facts import SiteFacts


@dataclass(frozen=True, slots=True)
class Sources:
    """What an answer is made from.

    Attributes:
        view: Measurements, or sums that look like them.
        settings: How the dashboard was set up.
        now_ms: What time it is [ms].
        other: Returns a data point that the person may read, by its number; None for none.
        facts: Returns prices and factors of a site, by its number; None where it has none.
        demands: Figures of demand that were just worked out.
    """

    view: View
    settings: DashboardSettings
    now_ms: int
    other: Callable[[int], DataPoint | None] = lambda _number: None
    facts: Callable[[int], SiteFacts | None] = lambda _site: None
    demands: Demands = field(default_factory=Demands)

    def demand_s(self, point: DataPoint) -> int:
        """Return over how long peak demand is a mean at a data point's site [s]."""
        return demand_length_s(self.facts(point.site_id), self.settings)


def series_answer(sources: Sources, point: DataPoint, query: Mapping[str, str]) -> dict[str, Any]:
    """Read what a query asks for. Blocks on the store: call it in a thread.

    Raises:
        KilowatchError: 400 for a query that cannot be read, 404 for another data point that is
            not there, 503 ``store_busy``.
    """
    view, settings, now_ms = sources.view, sources.settings, sources.now_ms
    asked, worth = asked_of(query.get("compare", "")), asked_worth(query.get("worth", ""))
    other = _other(sources, point, asked)
    extent = view.extent(point)
    today = local_day(now_ms, point.zone)
    anchor = min(today, local_day(extent.last_ms, point.zone)) if extent else today
    frame = window_beside(query, point, other, anchor)
    own = chosen(view, point, query, received=extent is not None)
    codes = sorted({*own.codes, *levels_of(point, own.drawn)})
    rows = (
        read(view, point, codes, (frame.from_ms, frame.to_ms), frame.asked)
        if extent
        else {code: IntervalBlock.empty() for code in codes}
    )
    refuse_too_many(rows, settings.rows_max)
    last_ms = extent.last_ms if extent else None
    elapsed = elapsed_ms(frame.from_ms, frame.to_ms, now_ms, last_ms, point.gap_ms)
    until_ms = frame.from_ms + elapsed
    beside = compared(view, point, other, asked, frame, own, until_ms) if asked and extent else None
    period = Period(view, point, frame, until_ms, sources.demand_s(point))
    demand = sources.demands.of(period, own.drawn, rows) if extent else None
    names = [parameter.name for parameter in own.parameters]
    priced = Priced.of(sources, point, worth)
    shown, worths = priced.own(own, rows)
    means = means_of(view, point, codes, frame.from_ms, frame.to_ms) if extent else {}
    found: dict[str, Any] = {
        "point": point_columns(point),
        "state": _state(frame, names, own, asked, worth),
        "window": window_columns(frame, point, now_ms, extent.first_ms if extent else None),
        "extent": _extent(extent, point),
        "parameters": [parameter_columns(parameter) for parameter in own.offered],
        "parameters_shown": [parameter_columns(p) for p in shown.parameters],
        "channels": channel_columns(shown.drawn, worths, point.zone),
        "statistics": statistics_of(shown.drawn, worths, elapsed, until_ms, means),
        "summary": statistics_of(shown.telling, worths, elapsed, until_ms, means),
        "demand": demand,
        "compare": None,
        "worth": priced.told(own),
        "status": _status(view, settings, point, now_ms, received=extent is not None),
    }
    if beside is not None:
        found["compare"] = compared_columns(priced.beside(beside))
        found["compare"]["demand"] = then = demand and demand_beside(
            view, sources.demands, beside, beside.drawn, frame, sources.demand_s(beside.point)
        )
        changed_demand(demand, then)
        changes(found["statistics"], found["compare"]["statistics"])
        changes(found["summary"], found["compare"]["summary"])
    return found


def _other(sources: Sources, point: DataPoint, asked: Asked | None) -> DataPoint:
    """Return the data point of the other side: the same one, but for ``p17``."""
    if asked is None or asked.point_id is None:
        return point
    found = sources.other(asked.point_id)
    if found is None:
        raise KilowatchError(
            "not_found",
            "The data point to compare with is not there, or it is not yours to see.",
            status=404,
            remedy="Choose another one.",
        )
    return found


@dataclass(slots=True)
class Priced:
    """Both sides of a graph in energy, money or CO2."""

    sources: Sources
    worth: Worth
    pricing: Pricing

    @classmethod
    def of(cls, sources: Sources, point: DataPoint, worth: Worth) -> Priced:
        """Return one for a data point."""
        facts = sources.facts(point.site_id) if worth != "energy" else None
        return cls(sources, worth, Pricing.of(sources.view, point, facts, worth))

    def own(
        self, own: Chosen, rows: Mapping[int, IntervalBlock]
    ) -> tuple[Chosen, Mapping[int, IntervalBlock]]:
        """Return what is drawn and its rows, counted in what was asked for."""
        if self.worth == "energy":
            return own, rows
        drawn, telling = self.pricing.drawn(own.drawn), self.pricing.drawn(own.telling)
        changed = dict(zip((p for p, _ in own.drawn), (p for p, _ in drawn), strict=True))
        offered = [changed.get(parameter, parameter) for parameter in own.offered]
        priced = self.pricing.rows([*own.drawn, *own.telling], rows)
        return replace(own, offered=offered, drawn=drawn, telling=telling), priced

    def beside(self, other: Compared) -> Compared:
        """Return the other side counted in what was asked for, at its own site's prices."""
        if self.worth == "energy":
            return other
        facts = self.sources.facts(other.point.site_id)
        pricing = Pricing.of(self.sources.view, other.point, facts, self.worth)
        both = [*other.drawn, *other.telling]
        rows, counted = pricing.rows(both, other.rows), pricing.rows(both, other.counted)
        drawn = pricing.drawn(other.drawn)
        return replace(
            other,
            drawn=drawn,
            apart=[one for one in drawn if one[1] in {code for _, code in other.apart}],
            telling=pricing.drawn(other.telling),
            rows=rows,
            counted=counted,
        )

    def told(self, own: Chosen) -> dict[str, Any]:
        """Return what the figures rest on, as the answer has it."""
        return {
            "shown": self.worth,
            "available": any(can_be_priced(p, code) for p, code in own.drawn),
            **self.pricing.told(),
        }


def _status(
    view: View, settings: DashboardSettings, point: DataPoint, now_ms: int, *, received: bool
) -> dict[str, Any]:
    status = view.status(point) if received else None
    fresh = Judge(view, settings, now_ms).of([point])[point.series]
    return {
        "late": fresh.state == "late",
        "came_ms": fresh.came_ms,
        "lags": fresh.lags,
        "join_ms": _join_ms(point, status.join_interval_s if status else 0),
        "recomputing": status.recomputing if status else None,
    }


def _join_ms(point: DataPoint, join_interval_s: int) -> int:
    """Return how far apart the starts of two intervals may lie that a line joins [ms].

    Packets that come in a longer interval than registered drift over boundaries of the
    registered one: a quarter more is still the next packet.
    """
    if join_interval_s > point.interval_s:
        return join_interval_s * 1_250
    return point.interval_s * 1_000


def _state(
    frame: Window, names: Sequence[str], own: Chosen, asked: Asked | None, worth: Worth
) -> dict[str, str]:
    return {
        "period": frame.period,
        "date": frame.first.isoformat(),
        "until": frame.last.isoformat() if frame.period == "custom" else "",
        "grain": frame.grain,
        "show": ",".join(names),
        "phases": "apart" if own.apart else "sum",
        "compare": asked.word if asked else "",
        "worth": "" if worth == "energy" else worth,
    }


def window_columns(
    frame: Window, point: DataPoint, now_ms: int, first_ms: int | None
) -> dict[str, Any]:
    """Return a period as an answer has it; ``first_ms`` is when data began [ms], or None."""
    today = local_day(now_ms, point.zone)
    begin = local_day(first_ms, point.zone) if first_ms is not None else today
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
