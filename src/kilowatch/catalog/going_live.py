"""From test to production: the same streams, new credentials, and a clean beginning if wanted."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import credentials
from kilowatch.catalog.changes import Change
from kilowatch.catalog.credentials import Issued, Target
from kilowatch.catalog.data_points import remember_series
from kilowatch.catalog.registry import fresh
from kilowatch.catalog.tables import Credential, DataPoint, Organisation, Site, User
from kilowatch.model.errors import KilowatchError


@dataclass(frozen=True, slots=True)
class WentLive:
    """What going live gave.

    Attributes:
        organisation: Now live.
        issued: For each development user name, the production credential that takes over.
        data_points: How many data points go on under their stream ids.
        left_test_data: Whether they begin empty.
    """

    organisation: Organisation
    issued: dict[str, Issued]
    data_points: int
    left_test_data: bool


def go_live(
    change: Change, key: bytes, organisation: Organisation, *, leave_test_data: bool = False
) -> WentLive:
    """Take an organisation live, once.

    Every development credential that is not revoked gets a production one of the same scope. The
    stream ids stay. Leaving test data behind gives each data point a new series: production
    begins empty, and the development environment goes on with the old one.

    Args:
        change: An open change.
        key: The server's key.
        organisation: As read from the catalogue.
        leave_test_data: Whether production begins without what was pushed so far.

    Raises:
        KilowatchError: ``live_already``.
    """
    organisation = fresh(change.session, organisation)
    if organisation.live_at_ms is not None:
        raise KilowatchError(
            "live_already",
            f"{organisation.name} is live already; its production credentials were shown then.",
            status=409,
            remedy=f"For another one, run 'kilowatch credential add --environment production "
            f"--organization {shlex.quote(organisation.name)} --scope partner'.",
        )
    organisation.live_at_ms = change.now_ms
    change.session.flush()
    points = list(
        change.session.scalars(
            select(DataPoint)
            .where(DataPoint.organisation_id == organisation.id)
            .order_by(DataPoint.id)
        )
    )
    if leave_test_data:
        _begin_anew(change, points)
    testing = select(Credential).where(
        Credential.organisation_id == organisation.id,
        Credential.environment == "development",
        Credential.revoked_at_ms.is_(None),
    )
    issued = {
        old.username: credentials.issue(
            change,
            key,
            _target(change.session, organisation, old),
            environment="production",
            name=old.name,
            mirrors=old,
        )
        for old in change.session.scalars(testing.order_by(Credential.id))
    }
    return WentLive(organisation, issued, len(points), leave_test_data)


def _begin_anew(change: Change, points: list[DataPoint]) -> None:
    series = change.next_series(len(points))
    for point in points:
        point.test_series, point.series = point.series, series
        series += 1
    change.session.flush()
    for point in points:
        remember_series(change, point, "went live, test data left behind")


def _target(session: Session, organisation: Organisation, credential: Credential) -> Target:
    inside: Site | DataPoint | User | None = None
    if credential.site_id is not None:
        inside = session.get(Site, credential.site_id)
    elif credential.data_point_id is not None:
        inside = session.get(DataPoint, credential.data_point_id)
    elif credential.user_id is not None:
        inside = session.get(User, credential.user_id)
    return Target(organisation, inside)
