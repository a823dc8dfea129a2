"""Streams that a bench may fill: registered apart from everybody's data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select

from kilowatch.bench.packets import STEP_S
from kilowatch.catalog import Actor, Catalog, Change, credentials, data_points, registry
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Credential, DataPoint, Organisation
from kilowatch.client import Pusher
from kilowatch.model.errors import KilowatchError

ORGANISATION = "Kilowatch Bench"
SITE = "Bench"
METER = "Bench"
BACK_S = 30 * 86_400
"""A new stream begins 30 days ago, so that no packet lies in the future."""

STREAMS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a bench needs to push.

    Attributes:
        username: Of the credential.
        password: Of the credential, or None when it is the caller's own.
        streams: Stream ids.
    """

    username: str
    password: str | None = field(repr=False)
    streams: tuple[str, ...]


def stream_ids(organisation_id: int, count: int) -> tuple[str, ...]:
    """Return the names of so many bench streams, unique on the server: they are counted by name."""
    return tuple(f"bench-{organisation_id}-{number:06d}" for number in range(1, count + 1))


def prepare(catalog: Catalog, key: bytes, count: int, username: str | None = None) -> Prepared:
    """Register so many streams, where they are not there yet.

    Args:
        catalog: An open catalogue of a server that is no production one.
        key: The server's key.
        count: How many streams.
        username: A partner credential whose organisation gets the streams (on a site of
            their own); None makes an organisation and a new credential for the bench.

    Raises:
        KilowatchError: Too many streams, or no such credential.
    """
    if not 0 < count <= STREAMS_MAX:
        raise KilowatchError("too_much", f"The bench has 1 to {STREAMS_MAX} streams.")
    with catalog.change(Actor("bench")) as change:
        whole = _organisation(change, username)
        _register(change, whole, count)
        if username is not None:
            return Prepared(username, None, stream_ids(whole.id, count))
        issued = credentials.issue(
            change, key, credentials.Target(whole), environment="development", name="Bench"
        )
        return Prepared(issued.credential.username, issued.secret, stream_ids(whole.id, count))


def _organisation(change: Change, username: str | None) -> Organisation:
    if username is None:
        there = change.session.scalar(
            select(Organisation).where(Organisation.name_key == registry.name_key(ORGANISATION))
        )
        return there or registry.add_organisation(change, ORGANISATION, country="IE")
    whole = change.session.scalar(
        select(Organisation)
        .join(Credential, Credential.organisation_id == Organisation.id)
        .where(Credential.username == username, Credential.scope == "partner")
    )
    if whole is None:
        raise KilowatchError(
            "unknown_credential",
            f"{username!r} is not a partner credential of the server in this data folder.",
            remedy="Name its data folder with --data, or the streams with --stream-ids.",
        )
    return whole


def _register(change: Change, whole: Organisation, count: int) -> None:
    there = set(
        change.session.scalars(
            select(DataPoint.stream_id).where(DataPoint.organisation_id == whole.id)
        )
    )
    missing = [name for name in stream_ids(whole.id, count) if name not in there]
    if not missing:
        return
    sites = {site.name: site for site in registry.sites(change.session, whole.id)}
    site = sites.get(SITE) or registry.add_site(change, whole, SITE, zone="UTC", country="IE")
    meter = registry.add_meter(change, site, METER)
    settings = Settings("electrical", "electricity", 60, behaviour="register", clock="offset")
    for name in missing:
        data_points.register(change, site, name, settings, stream_id=name, meter=meter)


async def next_times(pusher: Pusher, streams: Iterable[str]) -> list[tuple[str, int]]:
    """Return each stream with the time of its next packet [s since 1970, UTC]."""
    begin_s = int(time.time()) - BACK_S
    times = []
    for stream_id in streams:
        latest = await pusher.latest(stream_id)
        at_s = begin_s
        if latest is not None:
            stamp = datetime.fromisoformat(json.loads(latest)["tsISO8601"])
            at_s = max(begin_s, int(stamp.timestamp()) + STEP_S)
        times.append((stream_id, at_s))
    return times
