"""The data points of one environment, found by series, by number and by stream id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, func, select

from kilowatch.catalog.corrections import editings
from kilowatch.catalog.formula_use import formulas_of
from kilowatch.catalog.histories import Histories, load_histories
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.catalog.tables import Environment, SeriesHistory, Site
from kilowatch.model.editing import NOTHING
from kilowatch.model.points import LATENESS_SHARE, DataPoint

Word = TypeVar("Word", bound=str)


class Streams:
    """Every data point as one environment has it; immutable, made by ``load_streams``.

    Attributes:
        revision: The counter ``streams`` of the catalogue that it shows.
        points: By present series.
    """

    def __init__(
        self, revision: int, points: dict[int, DataPoint], past_series: dict[int, int]
    ) -> None:
        self.revision = revision
        self.points: Mapping[int, DataPoint] = MappingProxyType(points)
        self._past_series = past_series
        self._by_id = {point.id: point for point in points.values()}
        # One entry for each stream id; a tuple only where several organisations use the same.
        self._by_stream_id: dict[str, DataPoint | tuple[DataPoint, ...]] = {}
        for point in points.values():
            others = self._by_stream_id.get(point.stream_id)
            if others is None:
                self._by_stream_id[point.stream_id] = point
            else:
                first = others if isinstance(others, tuple) else (others,)
                self._by_stream_id[point.stream_id] = (*first, point)

    def with_stream_id(self, stream_id: str) -> tuple[DataPoint, ...]:
        """Return the data point of each organisation that has registered this stream id."""
        found = self._by_stream_id.get(stream_id, ())
        return found if isinstance(found, tuple) else (found,)

    def by_series(self, series: int) -> DataPoint | None:
        """Return the data point of a series, also of one that it had before going live."""
        if series in self._past_series:
            return replace(self._by_id[self._past_series[series]], series=series)
        return self.points.get(series)

    def by_id(self, data_point_id: int) -> DataPoint | None:
        """Return a data point by the catalogue's number."""
        return self._by_id.get(data_point_id)


def load_streams(
    connection: Connection,
    environment: Environment,
    revision: int,
    previous: Streams | None = None,
) -> Streams:
    """Read the data points of an environment.

    Args:
        connection: Sees the state of ``revision``.
        environment: Development goes on with the old series after a go-live without test data.
        revision: The counter ``streams``.
        previous: The data points so far: those that have not changed are taken over one by one,
            so that a change of one costs the memory of one.
    """
    known = previous.points if previous else {}
    points = _points(connection, environment, known)
    series_of = {point.id: series for series, point in points.items()}
    for number, editing in editings(connection, series_of).items():
        series = series_of[number]
        points[series] = replace(points[series], editing=editing)
    histories = load_histories(connection)
    if histories:
        _give_histories(points, histories)
    for number, formulas in formulas_of(connection).items():
        point = points[series_of[number]]
        dated = formulas if len(formulas) > 1 else ()
        history = replace(point.history, formulas=dated) if dated else point.history
        points[series_of[number]] = replace(point, formula=formulas[-1][1], history=history)
    for series, point in points.items():
        more = point.editing is not NOTHING or point.history or point.formula
        if more and known.get(series) == point:
            points[series] = known[series]
    return Streams(revision, points, _past_series(connection, environment))


def _points(
    connection: Connection, environment: Environment, known: Mapping[int, DataPoint]
) -> dict[int, DataPoint]:
    statement = select(
        Row.id, _present_series(environment), Row.stream_id, Row.name, Row.organisation_id,
        Row.site_id, Site.zone, Row.kind, Row.utility, Row.unit, Row.interval_s, Row.tolerance_s,
        Row.behaviour, Row.stamp, Row.clock, Row.register_max,
    ).join(Site, Row.site_id == Site.id).order_by(Row.id)  # fmt: skip
    one = _Once()
    tolerances: dict[int, float] = {}
    points: dict[int, DataPoint] = {}
    for row in connection.execution_options(yield_per=5000).execute(statement):
        (
            number, series, stream_id, name, organisation_id, site_id, zone, kind,
            utility, unit, interval_s, tolerance_s, behaviour, stamp, clock, register_max,
        ) = row  # fmt: skip
        if tolerance_s is None:
            tolerance_s = tolerances.setdefault(interval_s, interval_s * LATENESS_SHARE)
        point = DataPoint(
            number, series, stream_id, name, organisation_id, site_id, one(zone),
            one(kind), one(utility), one(unit), interval_s, tolerance_s,
            one(behaviour), one(stamp), one(clock), register_max,
        )  # fmt: skip
        before = known.get(series)
        points[series] = before if before is not None and before == point else point
    return points


def _give_histories(points: dict[int, DataPoint], histories: Histories) -> None:
    for series, point in points.items():
        history = histories.of(point)
        if history:
            points[series] = replace(point, history=history)


class _Once:
    """Keeps one copy of each word: a hundred thousand times "electricity" would be megabytes."""

    def __init__(self) -> None:
        self._kept: dict[Any, Any] = {}

    def __call__(self, word: Word) -> Word:
        kept: Word = self._kept.setdefault(word, word)
        return kept


def _past_series(connection: Connection, environment: Environment) -> dict[int, int]:
    statement = (
        select(SeriesHistory.series, SeriesHistory.data_point_id)
        .join(Row)
        .where(SeriesHistory.series != _present_series(environment))
    )
    return {row.series: row.data_point_id for row in connection.execute(statement)}


def _present_series(environment: Environment) -> ColumnElement[int]:
    if environment == "production":
        return Row.series.expression
    return func.coalesce(Row.test_series, Row.series)
