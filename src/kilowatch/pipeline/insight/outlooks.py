"""What is coming at a data point, made when somebody asks: the present model costs milliseconds."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import get_args

import numpy as np

from kilowatch.insights.bounds import ABSURD, bounded
from kilowatch.insights.forecasting import Model, predict
from kilowatch.insights.hours import WEEK_H, Hours
from kilowatch.insights.outlook import ahead, rest
from kilowatch.model.blocks import Floats
from kilowatch.model.calendar import Grain, grain_end_ms, grain_start_ms
from kilowatch.model.insight import Ahead, Expected, Outlook
from kilowatch.model.lengths import HOUR_MS
from kilowatch.model.points import DataPoint
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight import states
from kilowatch.pipeline.insight.columns import unpacked
from kilowatch.pipeline.insight.models import is_new, standing_in, usable
from kilowatch.pipeline.insight.peaks import LOOKED_MS, Peaks
from kilowatch.pipeline.insight.reader import InsightReader
from kilowatch.pipeline.insight.subjects import Subject, subject_of
from kilowatch.pipeline.insight.surroundings import Counted, Surroundings

HORIZON_H = 48
PAST_H = 14 * WEEK_H
"""A month that lies ahead, four weeks to guess it from, and four weeks of trials of that."""
JUDGED_D, JUDGED_D_MIN = 28, 7
PERIODS: tuple[Grain, ...] = ("day", "week", "month")

assert set(PERIODS) <= {word for part in get_args(Grain) for word in get_args(part)}


class Outlooks:
    """Makes outlooks; thread-safe.

    Args:
        reader: What was found so far.
        surroundings: Reads hours; nobody else's.
    """

    def __init__(self, reader: InsightReader, surroundings: Surroundings) -> None:
        self._reader = reader
        self._surroundings = surroundings
        self._lock = threading.Lock()
        self._model: tuple[str, Model | None] = ("", None)

    def of(self, point: DataPoint) -> Outlook | None:
        """Return what is coming; None before anything was looked at.

        Raises:
            KilowatchError: 503 from the store.
        """
        subject = subject_of(point)
        rows = self._reader.rows(
            "SELECT zone, birth_ms, cursor_ms, state FROM stream WHERE series = ?", (point.series,)
        )
        if subject is None or not rows:
            return None
        zone_name, birth_ms, now_ms, packed = rows[0]
        remembered = states.decode(packed)
        if remembered is None or now_ms <= birth_ms:
            return None
        zone = Zone.of(zone_name)
        with self._lock:
            self._surroundings.refresh()
            model = standing_in() if is_new(birth_ms, now_ms) else self._model_at(now_ms)
            first_ms = now_ms - PAST_H * HOUR_MS
            ahead_ms = now_ms + HORIZON_H * HOUR_MS
            hours = self._surroundings.hours([subject], zone, first_ms, now_ms, ahead_ms)
            sound = self._surroundings.sound([subject], hours)
        track = states.tracks([remembered])
        said = predict(model, sound, PAST_H, HORIZON_H, track=track, utility=point.utility)
        rate = said.rate[:, 0]
        if not np.isfinite(rate[2]).any():
            return None
        made_ms = np.full(HORIZON_H, now_ms, np.int64)
        expected = Expected(said.start_ms, made_ms, rate, tuple(said.source) * HORIZON_H)
        error, coverage = self._judged(point.series, hours, now_ms)
        past, sure = hours.values[0, :PAST_H], bounded(sound.values[:, :PAST_H], ABSURD)[0]
        begins = [int(grain_start_ms([now_ms], one, zone)[0]) for one in PERIODS]
        counted = self._surroundings.counted(subject, min(begins), now_ms)
        before = max(0, (birth_ms - min(begins)) // HOUR_MS)
        counted.missing[:before] = False  # before a data point existed it missed nothing
        peaks = self._peaks(subject, zone, past, min(begins), now_ms)
        ends = tuple(_ahead(period, peaks, counted, sure, rate, now_ms, zone) for period in PERIODS)
        version = "" if model is None else model.version
        return Outlook(now_ms, version, expected, ends, error, coverage)

    def _peaks(
        self, subject: Subject, zone: Zone, past: Floats, begin_ms: int, now_ms: int
    ) -> Peaks:
        """Return what is known of the peaks; of a gauge, whose hours are means, by the hour."""
        from_ms = min(begin_ms, now_ms - LOOKED_MS)
        rows = self._surroundings.intervals(subject, from_ms, now_ms)
        if not subject.is_amount:
            rows = replace(rows, amount=rows.mean * rows.covered_ms / HOUR_MS)
        demand_s = self._surroundings.demand_period_s(subject)
        return Peaks.of(rows, demand_s, zone, past, now_ms)

    def _model_at(self, at_ms: int) -> Model | None:
        rows = self._reader.rows(
            "SELECT version FROM model WHERE from_ms <= ? ORDER BY from_ms DESC LIMIT 1", (at_ms,)
        )
        if not rows:
            return standing_in()
        ((version,),) = rows
        if self._model[0] != version:
            ((content,),) = self._reader.rows(
                "SELECT bytes FROM model WHERE version = ? LIMIT 1", (version,)
            )
            self._model = (version, usable(version, content))
        return self._model[1]

    def _judged(self, series: int, hours: Hours, now_ms: int) -> tuple[float, float]:
        """Return error against a week before, and coverage, of the last day-ahead forecasts."""
        since_ms = now_ms - JUDGED_D * 24 * HOUR_MS
        rows = self._reader.rows(
            "SELECT start_ms, band FROM expected WHERE series = ? AND start_ms >= ?",
            (series, since_ms),
        )
        if len(rows) < JUDGED_D_MIN:
            return float("nan"), float("nan")
        values = bounded(hours.values, ABSURD)[0]
        off, weekly, inside = [], [], []
        for start_ms, band in rows:
            rate = unpacked(band)
            first = (start_ms - hours.first_ms) // HOUR_MS
            came = values[first : first + rate.shape[1]]
            before = values[first - WEEK_H : first - WEEK_H + len(came)]
            known = np.isfinite(came) & np.isfinite(rate[2, : len(came)])
            rate = rate[:, : len(came)][:, known]
            off.append(np.abs(came[known] - rate[2]))
            weekly.append(np.abs(came - before)[known])
            inside.append((came[known] >= rate[0]) & (came[known] <= rate[4]))
        naive = np.concatenate(weekly)
        size = float(np.nanmean(naive)) if np.isfinite(naive).any() else float("nan")
        errors, covered = np.concatenate(off), np.concatenate(inside)
        if not len(errors):
            return float("nan"), float("nan")
        error = float(errors.mean()) / size if size > 0 else float("nan")
        return error, float(covered.mean())


def _ahead(
    period: Grain,
    peaks: Peaks,
    counted: Counted,
    sound: Floats,
    rate: Floats,
    now_ms: int,
    zone: Zone,
) -> Ahead:
    """Return what a period comes to: what was counted, and the rest as the sound hours say."""
    start_ms = int(grain_start_ms([now_ms], period, zone)[0])
    end_ms = int(grain_end_ms([now_ms], period, zone)[0])
    done = min((now_ms - start_ms) // HOUR_MS, len(counted.amount))
    count = max((end_ms - now_ms) // HOUR_MS, 1)
    so_far = counted.amount[len(counted.amount) - done :]
    hourly = np.concatenate([so_far, ahead(sound, rate, count)])
    days_ms = np.array([start_ms, *zone.day_starts_within(start_ms + 1, end_ms)], np.int64)
    when = now_ms + (np.arange(len(hourly)) - done) * HOUR_MS
    place = np.searchsorted(days_ms, when, side="right") - 1
    daily = np.asarray(
        np.bincount(np.maximum(place, 0), weights=hourly, minlength=len(days_ms)), np.float64
    )
    total = float(so_far.sum())
    missing = int(counted.missing[len(counted.missing) - done :].sum())
    amount = total + rest(sound, rate, count)
    peak = peaks.until(start_ms, sound, rate, count)
    return Ahead(str(period), end_ms, total, amount, peak, days_ms, daily, missing)
