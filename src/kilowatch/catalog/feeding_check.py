"""Whether what feeds a data point can feed it: on its site, and never by way of itself."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.factors_check import invalid
from kilowatch.catalog.histories import Dated, whole_settings
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.model.errors import KilowatchError

Story = Sequence[tuple[int | None, int | None]]
"""From when on (None for always), and the number of what feeds it then."""


def check_feeders(session: Session, point: DataPoint, periods: Sequence[Dated]) -> None:
    """Refuse a feeder that is elsewhere, or that this data point feeds at the same time.

    Each period is held against the tree as it was in that period: what fed me last year may be
    fed by me today.

    Args:
        session: Where the others are.
        point: Whose feeders they are.
        periods: Its settings by period, as they shall be.

    Raises:
        KilowatchError: ``invalid_setting`` or ``feeds_itself``, for ``parent_id``;
            ``data["from_ms"]`` says which period.
    """
    _Climb(session, point).check([(at, settings["parent_id"]) for at, settings in periods])


def feeder_story(session: Session, point: DataPoint) -> Story:
    """Return what fed a data point from when on, rising; the first for all time."""
    mine = PointSetting.data_point_id == point.id
    rows = session.execute(select(PointSetting.from_ms, PointSetting.fields).where(mine))
    dated: list[Dated] = [(at, fields) for at, fields in rows if "parent_id" in fields]
    periods = whole_settings({"parent_id": point.parent_id}, dated)
    return [(at, settings["parent_id"]) for at, settings in periods]


class _Climb:
    """Goes from a data point up to the supply, through each period of what is on the way."""

    def __init__(self, session: Session, point: DataPoint) -> None:
        self._session, self._point = session, point
        self._stories: dict[int, Story] = {}

    def check(self, story: Story) -> None:
        self._up(story, (-math.inf, math.inf), frozenset())

    def _up(self, story: Story, span: tuple[float, float], below: frozenset[int]) -> None:
        ends = [math.inf if at is None else at for at, _ in story[1:]]
        for (at, number), until in zip(story, [*ends, math.inf], strict=True):
            since = max(span[0], -math.inf if at is None else at)
            within = (since, min(span[1], until))
            if number is None or number in below or within[0] >= within[1]:
                continue
            if number == self._point.id:
                raise KilowatchError(
                    "feeds_itself",
                    f"{self._point.name} would feed itself.",
                    status=409,
                    remedy="Choose a data point that was not below this one at that time.",
                    data={"field": "parent_id", "from_ms": _since(since)},
                )
            parent = self._session.get(DataPoint, number)
            if parent is None or parent.site_id != self._point.site_id:
                raise invalid(
                    "parent_id",
                    f"There is no data point {number} on this site that could feed "
                    f"{self._point.name}.",
                    "A data point is fed by one of its own site.",
                    from_ms=_since(since),
                )
            if number not in self._stories:
                self._stories[number] = feeder_story(self._session, parent)
            self._up(self._stories[number], within, below | {number})


def _since(at: float) -> int | None:
    return None if math.isinf(at) else int(at)
