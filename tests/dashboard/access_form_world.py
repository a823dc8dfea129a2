"""The world of ``access_world.py`` with what only forms name, and people with a part of Acme."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import (
    corrections,
    data_points,
    formula_use,
    formulas,
    groups,
    meter_events,
    people,
    point_settings,
    prices,
    registry,
    site_calendar,
    site_zones,
)
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint, Grant, Site, Table, User
from kilowatch.catalog.tables_people import GroupPlace
from kilowatch.dashboard.access import Door
from kilowatch.dashboard.security import csrf_token
from tests.dashboard.access_forms import PARTLY
from tests.dashboard.access_world import Furnishing, Matrix
from tests.dashboard.fakes import DAY_MS, HOUR_MS
from tests.dashboard.worlds import KEY, PASSWORD, World

NOBODY = 987_654
"""A number that nothing has."""


def _sister(own: Furnishing) -> int:
    power = Settings("electrical", "electricity", 300)
    name = own.name("sister")
    stream = name.lower().replace(" ", "-")
    made = data_points.register(own.change, own.site, name, power, stream_id=stream)
    own.made["sister"] = made
    return made.id


def _outdoor(own: Furnishing) -> int:
    settings, name = Settings("single", "temperature", 900), own.name("outdoor")
    return data_points.register(own.change, own.site, name, settings, stream_id=name.lower()).id


def _formula(own: Furnishing) -> int:
    session = own.change.session
    names = formulas.names_of(session, own.organisation.id)
    wish = formulas.Wish(f"#{own.made['sister'].id}.energy * 2")
    own.made["formula"] = formulas.create(own.change, own.site, own.name("formula"), wish, names)
    return int(own.made["formula"].id)


def _formula_period(own: Furnishing) -> int:
    row = own.made["formula"]
    names = formulas.names_of(own.change.session, own.organisation.id)
    wish = formulas.Wish(f"#{own.made['sister'].id}.energy * 3")
    formulas.change(
        own.change, row.id, row.name, wish, names, from_ms=own.change.now_ms - 2 * DAY_MS
    )
    return formula_use.periods_of(own.change.session, row.id)[-1].id


def _setting(own: Furnishing) -> int:
    from_ms = own.change.now_ms - 2 * DAY_MS
    made = point_settings.change_from(own.change, own.made["point"], {"multiplier": 2.0}, from_ms)
    return made[-1].id


def _recorded(own: Furnishing) -> int:
    at_ms = own.change.now_ms - DAY_MS
    return meter_events.reset(own.change, own.made["point"], at_ms, comment=own.name("reset")).id


def _correction(own: Furnishing) -> int:
    end = own.change.now_ms // HOUR_MS * HOUR_MS - 3 * HOUR_MS
    draft = Draft("comment", end - HOUR_MS, end, comment=own.name("correction"))
    return corrections.add(own.change, own.made["point"].id, draft).id


def _zone(own: Furnishing) -> int:
    from_ms = own.change.now_ms - 3 * DAY_MS
    return site_zones.change_zone_from(own.change, own.site, "Europe/Lisbon", from_ms)[-1].id


def _days(own: Furnishing) -> int:
    first, last = date(2026, 12, 27), date(2026, 12, 31)
    name = own.name("days")
    return site_calendar.add_days(own.change, own.site, name, first, last, opened=False).id


def _hours(own: Furnishing) -> int:
    return site_calendar.set_opening(own.change, own.site, (True,) * 168, date(2026, 1, 1)).id


def _price(own: Furnishing, site: Site | None = None) -> int:
    draft = PriceDraft(
        "electricity", 0.2, site.name if site else "Contract", date(2026, 1, 1), "kWh"
    )
    return prices.set_price(own.change, own.organisation, draft, site=site).id


def _carbon(own: Furnishing, site: Site | None = None) -> int:
    draft = CarbonDraft(
        "electricity",
        0.3,
        site.name if site else "Source",
        "location-based",
        date(2026, 1, 1),
        "kWh",
    )
    return prices.set_carbon(own.change, own.organisation, draft, site=site).id


def _grant(own: Furnishing) -> int:
    session = own.change.session
    user = session.get_one(User, own.made["member_id"])
    people.grant(own.change, user, own.made["point"])
    return session.execute(select(Grant.id).where(Grant.user_id == user.id)).scalar_one()


def _group_place(own: Furnishing) -> int:
    session = own.change.session
    group = groups.find(session, own.organisation.id, own.made["group_id"])
    groups.add_place(own.change, group, own.made["point"])
    of_group = select(GroupPlace.id).where(GroupPlace.group_id == group.id)
    return session.execute(of_group).scalar_one()


MORE: dict[str, Callable[[Furnishing], int]] = {
    "sister_id": _sister,
    "outdoor_id": _outdoor,
    "formula_id": _formula,
    "formula_period_id": _formula_period,
    "setting_id": _setting,
    "recorded_id": _recorded,
    "correction_id": _correction,
    "zone_id": _zone,
    "days_id": _days,
    "hours_id": _hours,
    "price_id": _price,
    "carbon_id": _carbon,
    "site_price_id": lambda own: _price(own, own.site),
    "site_carbon_id": lambda own: _carbon(own, own.site),
    "grant_id": _grant,
    "group_place_id": _group_place,
}
"""As ``KINDS`` of ``access_world.py``, for what only forms name."""


def filled_in(path: str, numbers: Mapping[str, Any]) -> str:
    """Return the path of a door with its numbers."""
    return re.sub(r"\{(\w+)(?::\w+)?\}", lambda found: str(numbers[found[1]]), path)


class FormMatrix(Matrix):
    """The world of the access test with what only forms name, and people with a part of Acme.

    Args:
        world: The usual organisation of the dashboard's tests.
        folder: Where its catalogue is.
    """

    def __init__(self, world: World, folder: Path) -> None:
        super().__init__(world, folder)
        with world.catalog.change(catalogs.Actor("test")) as change:
            for side, place, mark in (
                (self.ours, ("Acme", "Office Dublin"), "Ours"),
                (self.theirs, ("Elsewhere", "Werk"), "Geheim"),
            ):
                self._furnish(change, side.numbers, place, mark)
            self._partly(change)
        world.app.state.rooms.registry.directory(fresh=True)
        for who, email in PARTLY.items():
            self._tokens[who] = self._log_in(email)
        self.keep()

    def _furnish(
        self, change: Any, numbers: dict[str, int], place: tuple[str, str], mark: str
    ) -> None:
        owner = registry.find_organisation(change.session, place[0])
        own = Furnishing(change, owner, registry.find_site(change.session, owner, place[1]), mark)
        own.made |= {
            "point": change.session.get(DataPoint, numbers["point_id"]),
            "member_id": numbers["user_id"],
            "group_id": numbers["group_id"],
        }
        numbers |= {kind: make(own) for kind, make in MORE.items()}

    def _partly(self, change: Any) -> None:
        """Add people who have a part of Acme: one site, or one data point."""
        acme = registry.find_organisation(change.session, "Acme")
        site = registry.find_site(change.session, acme, "Supermarket Cork")
        chiller = change.session.get(DataPoint, self.world.point("chiller").id)
        for who, place in (("of one site", site), ("of one data point", chiller)):
            user, _ = people.add_user(change, PARTLY[who], password=PASSWORD)
            people.set_role(change, user, acme, "administrator", whole=False)
            people.grant(change, user, place)

    def words(self, side: str) -> dict[str, Any]:
        """Return what forms name of a side: numbers, names, stream ids."""
        own = {"own_meter_id": self.ours.numbers["meter_id"]}
        if side == "nobody":
            numbers: dict[str, Any] = dict.fromkeys([*self.theirs.numbers, *self._named], NOBODY)
            return numbers | own | {
                "stream": "nobody-stream", "sister": "nobody-sister", "meter": "nobody meter",
                "other_meter": "nobody meter", "appliance": "nobody appliance",
                "member": "nobody@example.net",
            }  # fmt: skip
        mark = {"ours": "Ours", "theirs": "Geheim"}[side]
        numbers = dict(self.theirs.numbers if side == "theirs" else self.ours.numbers)
        return numbers | own | self._named | {
            "stream": f"{mark} point".lower(), "sister": f"{mark}-sister".lower(),
            "meter": f"{mark} meter", "other_meter": f"{mark} sister",
            "appliance": f"{mark} appliance", "member": f"{mark}-member@example.net".lower(),
        }  # fmt: skip

    def own_place(self, who: str) -> dict[str, Any]:
        """Return what somebody may change: of a part of Acme nothing but the part."""
        if who not in PARTLY:
            return {}
        return {
            "point_id": self.world.point("chiller").id,
            "site_id": self.world.sites["Supermarket Cork"],
        }

    def post(
        self, who: str, door: Door, form: Mapping[str, Any], numbers: Mapping[str, Any]
    ) -> Any:
        """Send a form to a door whose address has these numbers."""
        client = self.client(who) if who else self.nobody()
        path = filled_in(door.path, numbers)
        sent = {"csrf": self.token(who) if who else "", **form}
        return client.post(path, data=sent, headers={"accept": "text/html"})

    def token(self, who: str) -> str:
        """Return the token that forms of somebody's session bring back."""
        return csrf_token(KEY, self._tokens[who])

    def nobody(self) -> TestClient:
        """Return a client without a session."""
        return TestClient(self.world.app, follow_redirects=False, raise_server_exceptions=False)

    def everything(self) -> dict[str, list[str]]:
        """Return every row of the catalogue and of the alerts, by table."""
        with self.world.catalog.reading() as session:
            found = {
                table.name: [repr(row) for row in session.execute(select(table))]
                for table in Table.metadata.sorted_tables
            }
        book = self.world.extra["notifier"]._book
        for table in ("alert", "member", "delivery"):
            found[f"notify.{table}"] = [repr(row) for row in book.rows(f"SELECT * FROM {table}")]
        return found
