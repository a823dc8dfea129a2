"""The organisation of the dashboard's tests with somebody for every way to see it, and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import api
from kilowatch import catalog as catalogs
from kilowatch.api.app import PREFIX
from kilowatch.api.needs import Limits
from kilowatch.catalog import data_points, people, plans, registry, tokens
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint, Membership, Meter, Organisation, Site, User
from kilowatch.catalog.tables_people import ApiToken
from kilowatch.cli.addresses import ByPath, guarded
from kilowatch.dashboard.expected_waste import wasted
from kilowatch.model.durations import Durations
from tests.dashboard.worlds import ADMIN, END_USER, KEY, PASSWORD, STRANGER, VIEWER, World, build

PARTIAL, OWING, CLOSED, PLANNED = (
    "one-meter@example.com",
    "owing@example.com",
    "closed@example.com",
    "planned@example.com",
)
"""Who may see one data point; who owes a second factor; whose account is closed; whose plan has
no tool but Attributes."""
EXPIRED, REVOKED = "expired", "revoked"
"""Names of tokens of the administrator that are over."""


@dataclass
class Served:
    """Pages and API on one port, as the program serves them.

    Attributes:
        world: What is behind them.
        rooms: What the API was given.
        texts: Tokens by their owner's address.
        times: How long answers took, by name.
        client: Sends no cookie and no token by itself.
    """

    world: World
    rooms: api.Rooms
    texts: dict[str, str]
    times: dict[str, Durations]
    client: TestClient

    def get(self, path: str, who: str | None = ADMIN, **headers: str) -> Any:
        """Return the answer to a request below ``/api/v1``."""
        if who is not None:
            headers = {"authorization": f"Bearer {self.texts[who]}", **headers}
        return self.client.get(f"{PREFIX}{path}", headers=headers)

    def token(self, who: str, *, days: int = 30) -> tuple[str, int]:
        """Make a token of a person's, and return its text and number."""
        with self.world.catalog.change(catalogs.Actor("test")) as change:
            user = change.session.scalars(select(User).filter_by(email=who)).one()
            made = tokens.make(change, KEY, user.id, "script", read_only=True, days=days)
            return made.text, made.row.id

    def point(self, name: str) -> int:
        """Return the number of a data point."""
        return self.world.point(name).id


def serve(folder: Path, *, days: int = 40, limits: Limits | None = None) -> Served:
    """Build the world, its people and its tokens, and put the API beside the pages."""
    world = build(folder, days=days)
    with world.catalog.change(catalogs.Actor("test")) as change:
        acme = change.session.scalars(select(Organisation).filter_by(name="Acme")).one()
        _channels(change, world)
        for email in (PARTIAL, OWING, CLOSED, PLANNED):
            user, _ = people.add_user(
                change, email, name=email.partition("@")[0], password=PASSWORD
            )
            people.set_role(change, user, acme, "end user" if email == PARTIAL else "manager")
        _owing(change)
        plan = plans.add(change, acme.id, "Packets only", ["attributes"])
        planned = change.session.scalars(select(User).filter_by(email=PLANNED)).one()
        change.session.scalars(
            select(Membership).filter_by(user_id=planned.id)
        ).one().plan_id = plan.id
        granted = change.session.scalars(select(User).filter_by(email=PARTIAL)).one()
        row = change.session.get(DataPoint, world.point("hvac").id)
        assert row is not None
        people.grant(change, granted, row)
    rooms = world.app.state.rooms
    given = api.Rooms(
        rooms.registry, rooms.view, KEY, rooms.clock, rooms.insights,
        partial(wasted, rooms.insights, rooms.registry), limits or Limits(),
    )  # fmt: skip
    times: dict[str, Durations] = {}
    app = ByPath(world.app, "/api", guarded(api.create_api(given), times, production=False))
    served = Served(world, given, {}, times, TestClient(app, follow_redirects=False))
    for email in (ADMIN, VIEWER, STRANGER, END_USER, PARTIAL, OWING, CLOSED, PLANNED):
        served.texts[email] = served.token(email)[0]
    _ended(served)
    with world.catalog.change(catalogs.Actor("test")) as change:
        closed = change.session.scalars(select(User).filter_by(email=CLOSED)).one()
        people.disable(change, closed.id)
        world.extra["users"] = {one.email: one.id for one in change.session.scalars(select(User))}
    return served


def _ended(served: Served) -> None:
    """Make two tokens of the administrator that are over: one by time, one revoked."""
    text, over = served.token(ADMIN)
    other, gone = served.token(ADMIN)
    served.texts |= {EXPIRED: text, REVOKED: other}
    with served.world.catalog.change(catalogs.Actor("test")) as change:
        row = change.session.get(ApiToken, over)
        assert row is not None
        row.expires_at_ms = served.world.now[0]
        tokens.revoke(change, row.user_id, gone)


def _owing(change: catalogs.Change) -> None:
    """Let somebody belong to an organisation that asks for a second factor, too."""
    strict = registry.add_organisation(change, "Strict", country="IE")
    strict.second_factor_required = True
    registry.add_site(change, strict, "Vault", zone="Europe/Dublin")
    user = change.session.scalars(select(User).filter_by(email=OWING)).one()
    people.set_role(change, user, strict, "viewer")


def _channels(change: catalogs.Change, world: World) -> None:
    """Give the main supply's meter a channel with a stream of its own, and gas a pulse weight."""
    main = change.session.get(DataPoint, world.point("main").id)
    assert main is not None
    meter, site = change.session.get(Meter, main.meter_id), change.session.get(Site, main.site_id)
    assert meter is not None
    assert site is not None
    lift = registry.add_appliance(change, meter, "Lift")
    row = data_points.register(
        change, site, "Lift energy", Settings("single", "electricity", 900, "kWh"),
        stream_id="acme-lift", meter=meter, appliance=lift,
    )  # fmt: skip
    world.extra["lift"] = row.id
