"""What people do in the catalogue: one of everything, and changes to each of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import select

from kilowatch.catalog import (
    alerts,
    comments,
    corrections,
    data_points,
    formula_use,
    formulas,
    giving,
    groups,
    invitations,
    judgements,
    meter_events,
    people,
    plans,
    point_settings,
    prices,
    registry,
    reshaping,
    site_calendar,
    site_terms,
    site_zones,
)
from kilowatch.catalog.changes import Change
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.formulas import Wish
from kilowatch.catalog.invitations import Wishes
from kilowatch.catalog.prices import CarbonDraft, PriceDraft
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import Appliance, DataPoint, Meter, Site, User
from kilowatch.catalog.tables_alerts import AlertChannel, AlertRule
from kilowatch.catalog.tables_imports import ImportProfile
from kilowatch.model.editing import Rules
from tests.catalog.people_world import KEY, START_MS, World

DAY_MS = 86_400_000
POWER = Settings("electrical", "electricity", 300)
GAS = Settings("single", "gas", 900)
SLOWER = Settings("electrical", "electricity", 900)


class Desk:
    """Acme with one of everything, and short names for it inside a change."""

    def __init__(self, change: Change, folks: World) -> None:
        self.change, self.session, self.folks = change, change.session, folks
        self.acme = registry.find_organisation(change.session, "Acme")
        self.ann = folks.person("ann")

    def one(self, table: type[Any], **named: Any) -> Any:
        """Return the row of these columns."""
        return self.session.scalars(select(table).filter_by(**named)).one()

    @property
    def office(self) -> Site:
        """The site that most hangs on."""
        return self.one(Site, organisation_id=self.acme.id, city="Dublin")  # type: ignore[no-any-return]

    @property
    def gas(self) -> DataPoint:
        """A gas meter with a register."""
        return self.one(DataPoint, stream_id="gas")  # type: ignore[no-any-return]

    def furnish(self) -> None:
        """Add one of everything."""
        change, acme = self.change, self.acme
        office = self.one(Site, organisation_id=acme.id, name="Office")
        office.city = "Dublin"
        top = registry.add_meter(change, office, "Top")
        free = registry.add_meter(change, office, "Free", parent=top)
        registry.add_appliance(change, free, "Lamp")
        data_points.register(change, office, "Gas", GAS, stream_id="gas")
        data_points.register(change, office, "Feeder", POWER, stream_id="feeder")
        names = formulas.names_of(change.session, acme.id)
        twice = Wish(f"#{self.one(DataPoint, stream_id='feeder').id}.energy * 2", 86_400)
        formulas.create(change, office, "Twice", twice, names)
        formulas.create(change, office, "Dated", twice, names)
        dated_formula(20, "* 3")(self)
        channel = alerts.add_channel(change, acme.id, "Mail", "email", "ann@", b"sealed")
        spare = alerts.add_channel(change, acme.id, "Spare", "email", "bob@", b"sealed")
        rule = alerts.add_rule(change, acme.id, "Silent", "offline", alerts.Watched(), {"a": 1})
        alerts.use_channels(change, rule, [channel.id], [])
        assert spare
        plans.add(change, acme.id, "Readers", ["breakdown"])
        staff = groups.add(change, acme.id, "Staff")
        groups.add_place(change, staff, self.one(Site, name="Shop"))
        groups.add_member(change, staff, self.one(User, email="tom@example.com"))
        change.session.add(
            ImportProfile(organisation_id=acme.id, name="Bills", shape={}, created_at_ms=1)
        )
        site_terms.set_attention(change, office, 3)
        prices.set_price(change, acme, PriceDraft("gas", 0.1, "Contract"))
        prices.set_carbon(change, acme, CarbonDraft("gas", 0.2, "SEAI", "average"))
        site_calendar.add_days(change, office, "Closed", date(2026, 12, 24), opened=False)
        site_calendar.set_opening(change, office, (False,) * 168, None)
        corrections.set_rules(change, self.gas.id, Rules(spike_factor=5.0))
        corrections.add(change, self.gas.id, Draft("comment", 0, DAY_MS, comment="old"))
        judgements.dismiss(change, self.gas.id, "old", "mark")
        comments.add(change, self.gas.id, (1, 1), "old")
        at_ms = START_MS - 20 * DAY_MS
        point_settings.change_from(change, self.gas, {"multiplier": 2.0, "interval_s": 60}, at_ms)
        meter_events.reset(change, self.gas, at_ms, to=0.0)
        meter_events.exchange(
            change,
            self.one(DataPoint, stream_id="main"),
            at_ms,
            {"pC_1": (9.0, 0.0), "pC_2": (8.0, 0.0)},
        )
        site_zones.change_zone_from(change, self.one(Site, name="Shop"), "Europe/Berlin", at_ms)


def ago(_desk: Desk, days: int) -> int:
    """Return an instant some days ago [ms]."""
    return START_MS - days * DAY_MS


def rename(table: type[Any], **named: Any) -> Callable[[Desk], object]:
    """Give a row another name."""
    return lambda desk: setattr(desk.one(table, **named), "name", "Another name")


def channels(*names: str) -> Callable[[Desk], object]:
    """Let the rule use these channels."""

    def act(desk: Desk) -> None:
        found = [desk.one(AlertChannel, name=name).id for name in names]
        alerts.use_channels(desk.change, desk.one(AlertRule), found, [])

    return act


def change_site(**facts: Any) -> Callable[[Desk], object]:
    """Change what is known of the office."""

    def act(desk: Desk) -> None:
        names = reshaping.SiteDraft.__slots__
        now = {name: getattr(desk.office, name) for name in names} | facts
        reshaping.change_site(desk.change, desk.office, reshaping.SiteDraft(**now))

    return act


def other_formula(desk: Desk) -> None:
    """Compute twice the feeder as thrice."""
    names = formulas.names_of(desk.session, desk.acme.id)
    twice = desk.one(DataPoint, name="Twice")
    thrice = Wish(f"#{desk.one(DataPoint, stream_id='feeder').id}.energy * 3", 86_400)
    formulas.change(desk.change, twice.id, "Twice", thrice, names)


def dated_formula(day: int, by: str) -> Callable[[Desk], object]:
    """Compute ``Dated`` in another way from a day before now on."""

    def act(desk: Desk) -> object:
        names = formulas.names_of(desk.session, desk.acme.id)
        wish = Wish(f"#{desk.one(DataPoint, stream_id='feeder').id}.energy {by}")
        number, at_ms = desk.one(DataPoint, name="Dated").id, ago(desk, day)
        formulas.change(desk.change, number, "Dated", wish, names, from_ms=at_ms, comment="annexe")
        return number

    return act


def dated_formula_away(desk: Desk) -> None:
    """Let the first formula of ``Dated`` go on."""
    point = desk.one(DataPoint, name="Dated")
    (period,) = formula_use.periods_of(desk.session, point.id)
    formulas.take_back(desk.change, point.id, period.id)


def renamed_organisation(desk: Desk) -> None:
    """Call the organisation something else."""
    reshaping.change_organisation(desk.change, desk.acme, name="Acme Ltd", country="GB")


def moved(desk: Desk) -> None:
    """Hang the gas meter elsewhere."""
    free = desk.one(Meter, name="Free")
    lamp, feeder = desk.one(Appliance), desk.one(DataPoint, stream_id="feeder")
    reshaping.move_data_point(desk.change, desk.gas, free, lamp, feeder)


def tom_in(desk: Desk, *, leave: bool) -> None:
    """Take Tom out of the organisation, or give Sue a role in it."""
    name = "tom" if leave else "sue"
    user = desk.one(User, email=f"{name}@example.com")
    if leave:
        giving.remove(desk.change, user, desk.acme)
    else:
        giving.set_role(desk.change, desk.ann, user, desk.acme, "viewer", whole=True, plan=None)


def grant(desk: Desk) -> None:
    """Let Tom see the office."""
    people.grant(desk.change, desk.one(User, email="tom@example.com"), desk.office)


def withdraw(desk: Desk) -> None:
    """Take the shop from Tom."""
    shop = desk.one(Site, name="Shop")
    people.withdraw(desk.change, desk.one(User, email="tom@example.com"), shop)


def shop_zone(zone: str, days: int) -> Callable[[Desk], object]:
    """Give the shop another zone some days ago."""
    return lambda desk: site_zones.change_zone_from(
        desk.change, desk.one(Site, name="Shop"), zone, ago(desk, days)
    )


def shop_zone_away(desk: Desk) -> None:
    """Take the dated zone of the shop back."""
    shop = desk.one(Site, name="Shop")
    site_zones.undo_zone(desk.change, shop, site_zones.zones(desk.session, shop)[-1].id)


def setting(days: int, **settings: Any) -> Callable[[Desk], object]:
    """Change settings of the gas meter from a date on."""
    return lambda desk: point_settings.change_from(desk.change, desk.gas, settings, ago(desk, days))


def always(**settings: Any) -> Callable[[Desk], object]:
    """Change settings of the gas meter for all time."""
    return lambda desk: point_settings.change_always(desk.change, desk.gas, settings)


def invite(desk: Desk) -> None:
    """Invite somebody."""
    wishes = Wishes(email="new@example.com", role="viewer")
    invitations.invite(desk.change, KEY, desk.ann, desk.acme, wishes)


def exchange_back(desk: Desk) -> None:
    """Take an exchange of two registers back."""
    main = desk.one(DataPoint, stream_id="main")
    meter_events.undo(desk.change, main, meter_events.events(desk.session, main)[0].id)


def close_tom(desk: Desk) -> None:
    """Close Tom's account."""
    giving.disable(desk.change, desk.ann, desk.one(User, email="tom@example.com"))
