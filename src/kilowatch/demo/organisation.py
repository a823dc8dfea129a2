"""The demo organisation in the catalogue: made once, found again by every later run."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqlalchemy import select

from kilowatch.catalog import (
    Actor,
    Catalog,
    Change,
    alerts,
    credentials,
    data_points,
    people,
    registry,
    secrets,
)
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Credential, DataPoint, Meter, Organisation, Site
from kilowatch.demo import facts
from kilowatch.demo.plan import (
    BUILDINGS,
    OFFICE,
    ORGANISATION,
    STREAMS,
    TRY_STREAM,
    Building,
    Stream,
)
from kilowatch.demo.timeline import COUNTRY, ZONE_NAME

DASHBOARD_USER = "demo@example.com"
FILE = "demo.json"


@dataclass(frozen=True, slots=True)
class Account:
    """What the simulator and its spectator need.

    Attributes:
        organisation_id: Of the demo organisation.
        started_ms: When the demo was first started; places its events [ms since 1970, UTC].
        username: Of the partner credential that the simulator pushes with.
        password: Of that credential.
        dashboard_user: E-mail address for the log-in page.
        dashboard_password: For the log-in page; empty when a person has changed it.
        streams: Simulated streams that are registered.
    """

    organisation_id: int
    started_ms: int
    username: str
    password: str = field(repr=False)
    dashboard_user: str
    dashboard_password: str = field(repr=False)
    streams: tuple[str, ...]


@dataclass(slots=True)
class _Kept:
    """What demo.json keeps: secrets that the catalogue knows as digests only."""

    username: str = ""
    password: str = ""
    dashboard_password: str | None = None  # None: not known yet; empty: a person's own


def organisation(catalog: Catalog, folder: Path, key: bytes) -> Account:
    """Make the demo organisation, or complete and return the one that is there.

    Its secrets are generated and kept in ``demo.json`` (readable by the owner only), so that
    a second run can print them again. When that file is lost, new ones are issued.

    Args:
        catalog: An open catalogue.
        folder: The data folder.
        key: The server's key, see ``catalog.secrets``.
    """
    path = folder / FILE
    kept = _read(path)
    with catalog.change(Actor("demo")) as change:
        whole = _organisation(change)
        new = not _points(change, whole)
        _complete(change, whole)
        if new:
            facts.tell(change, whole, [_site(change, whole, one) for one in BUILDINGS])
        _credential(change, whole, key, kept)
        _dashboard_user(change, whole, kept)
        there = _points(change, whole)
        streams = tuple(s.stream_id for s in STREAMS if s.stream_id in there)
        account = Account(
            whole.id, whole.created_at_ms, kept.username, kept.password, DASHBOARD_USER,
            kept.dashboard_password or "", streams,
        )  # fmt: skip
    _write(path, kept)
    return account


def _organisation(change: Change) -> Organisation:
    there = change.session.scalar(
        select(Organisation).where(Organisation.name_key == registry.name_key(ORGANISATION))
    )
    if there is not None:
        return there
    made = registry.add_organisation(change, ORGANISATION, country=COUNTRY, demo=True)
    alerts.add_usual_rule(change, made.id)
    return made


def _points(change: Change, whole: Organisation) -> dict[str, DataPoint]:
    rows = change.session.scalars(
        select(DataPoint).where(DataPoint.organisation_id == whole.id).order_by(DataPoint.id)
    )
    return {row.stream_id: row for row in rows}


def _complete(change: Change, whole: Organisation) -> None:
    """Register what is missing: all of it at first, new streams after an upgrade."""
    there = _points(change, whole)
    for building in BUILDINGS:
        missing = [s for s in STREAMS if s.building is building and s.stream_id not in there]
        if missing:
            _complete_building(change, whole, building, missing, there)
    if TRY_STREAM not in there:
        data_points.register(
            change,
            _site(change, whole, OFFICE),
            "Yours to push to",
            Settings("single", "temperature", 60, unit="°C", behaviour="gauge"),
            stream_id=TRY_STREAM,
        )


def _complete_building(
    change: Change,
    whole: Organisation,
    building: Building,
    missing: list[Stream],
    there: dict[str, DataPoint],
) -> None:
    site = _site(change, whole, building)
    for stream in missing:
        parent = there.get(stream.parent) if stream.parent else None
        feeding = change.session.get(Meter, parent.meter_id) if parent else None
        there[stream.stream_id] = data_points.register(
            change,
            site,
            stream.name,
            Settings(
                stream.kind,
                stream.utility,
                stream.interval_s,
                unit=stream.unit or None,
                behaviour=stream.behaviour,
                clock="offset",  # we know; "auto" would recompute a year when it found out
            ),
            stream_id=stream.stream_id,
            meter=registry.add_meter(change, site, stream.name, parent=feeding),
            parent=parent,
        )


def _site(change: Change, whole: Organisation, building: Building) -> Site:
    names = {site.name: site for site in registry.sites(change.session, whole.id)}
    if building.name in names:
        return names[building.name]
    site = registry.add_site(
        change, whole, building.name, zone=ZONE_NAME, country=COUNTRY, city=building.town.name
    )
    site.area_m2 = building.area_m2
    return site


def _credential(change: Change, whole: Organisation, key: bytes, kept: _Kept) -> None:
    known = change.session.scalar(
        select(Credential).where(
            Credential.username == kept.username, Credential.revoked_at_ms.is_(None)
        )
    )
    if known is not None and kept.password:
        return
    issued = credentials.issue(
        change,
        key,
        credentials.Target(whole),
        environment="development",
        name="Simulator of make demo",
    )
    kept.username, kept.password = issued.credential.username, issued.secret


def _dashboard_user(change: Change, whole: Organisation, kept: _Kept) -> None:
    user = people.find_by_email(change.session, DASHBOARD_USER)
    if user is None:
        user, kept.dashboard_password = people.add_user(change, DASHBOARD_USER, name="Demo")
        people.set_role(change, user, whole, "administrator")
    elif kept.dashboard_password is None:
        kept.dashboard_password = secrets.new_password()
        people.set_password(change, user.id, kept.dashboard_password)
    elif not secrets.verify_password(user.password_hash, kept.dashboard_password):
        kept.dashboard_password = ""  # theirs now: we neither know it nor take it away


def _read(path: Path) -> _Kept:
    try:
        return _Kept(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return _Kept()


def _write(path: Path, kept: _Kept) -> None:
    whole = path.with_suffix(".new")
    with os.fdopen(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(kept), file, indent=1)
    whole.replace(path)
