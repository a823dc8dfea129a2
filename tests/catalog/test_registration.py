"""Registering data points: contradictions are refused in words that a person understands."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch import catalog
from kilowatch.catalog import data_points, registry
from kilowatch.catalog.places import check_zone, country_of_zone
from kilowatch.catalog.settings_check import Settings, checked
from kilowatch.catalog.spans import interval_text, parse_interval
from kilowatch.catalog.tables import Organisation, Site
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import MONTH_S


@pytest.fixture
def site(opened: catalog.Catalog, actor: catalog.Actor) -> Site:
    """Return a site in Dublin."""
    with opened.change(actor) as change:
        organisation = registry.add_organisation(change, "Acme", country="IE")
        return registry.add_site(change, organisation, "Office", zone="Europe/Dublin")


@pytest.mark.parametrize(
    ("text", "interval_s"),
    [
        ("30s", 30), ("1 s", 1), ("5m", 300), ("5 min", 300), ("15m", 900), ("1h", 3600),
        ("1d", 86_400), ("7d", 604_800), ("1 week", 604_800), ("1 month", MONTH_S),
        ("1month", MONTH_S), ("1mo", MONTH_S),
    ],
)  # fmt: skip
def test_an_interval_is_read_as_people_write_it(text: str, interval_s: int) -> None:
    """Nobody has to count the seconds of a quarter of an hour."""
    assert parse_interval(text) == interval_s


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0s", "not between one second and one month"),
        ("2 months", "not between one second and one month"),
        ("3d", "neither a week nor a month"),
        ("5", "not an interval"),
        ("1M", "could be minutes or months"),
        ("5 parsecs", "a unit that is not known"),
        ("-5m", "not an interval"),
    ],
)
def test_an_impossible_interval_is_refused_with_examples(text: str, reason: str) -> None:
    """A slip is answered with what was understood and what a right one looks like."""
    with pytest.raises(KilowatchError, match=reason) as refused:
        parse_interval(text)
    assert "5m" in refused.value.remedy
    assert refused.value.data["field"] == "interval"


@given(st.integers(1, 86_400) | st.sampled_from([7 * 86_400, MONTH_S]))
def test_an_interval_that_is_shown_can_be_typed_back(interval_s: int) -> None:
    """What the dashboard shows and what a command takes are the same language."""
    assert parse_interval(interval_text(interval_s)) == interval_s


@pytest.mark.parametrize(
    ("settings", "field", "message"),
    [
        (Settings("single", "water", 60, unit="m3/h", reading="cum"), "behaviour", "no register"),
        (Settings("single", "temperature", 60, reading="cum"), "behaviour", "cannot be counted"),
        (Settings("single", "gas", 60, behaviour="rate"), "behaviour", "no power and no flow"),
        (Settings("electrical", "electricity", 60, behaviour="gauge"), "behaviour", "cannot be a"),
        (Settings("electrical", "electricity", 60, unit="kWh"), "unit", "no unit of its own"),
        (Settings("single", "gas", 60, unit="kwh"), "unit", "not a unit"),
        (Settings("single", "gas", 60, unit="cubits"), "unit", "not a unit"),
        (Settings("single", "gas", 60, reading="sum"), "reading", "not a known reading"),
        (
            Settings("single", "gas", 60, behaviour="gauge", reading="cum"),
            "behaviour",
            "contradicts",
        ),
        (Settings("single", "gas", 60, register_max=-1.0), "register_max", "above zero"),
        (Settings("single", "gas", 60, register_max=float("nan")), "register_max", "above zero"),
        (
            Settings("single", "temperature", 60, register_max=1e6),
            "register_max",
            "no register to roll over",
        ),
        (Settings("single", "gas", 60, tolerance_s=-5.0), "tolerance", "between nothing and"),
        (Settings("single", "gas", 0), "interval", "between one second"),
        (Settings("electrical", "gas", 60), "utility", "measures electricity"),
    ],
)
def test_a_contradiction_is_refused_and_the_setting_is_named(
    settings: Settings, field: str, message: str
) -> None:
    """A wrongly registered stream would give wrong figures quietly for months."""
    with pytest.raises(KilowatchError, match=message) as refused:
        checked(settings)
    assert refused.value.data["field"] == field
    assert refused.value.remedy


@pytest.mark.parametrize(
    ("settings", "unit", "behaviour"),
    [
        (Settings("electrical", "electricity", 300), "Wh", "register"),
        (Settings("electrical", "electricity", 300, reading="avg"), "Wh", "amount"),
        (Settings("single", "gas", 300), "m3", "register"),
        (Settings("single", "gas", 300, reading="avg"), "m3", "amount"),
        (Settings("single", "water", 300, unit="m³/h"), "m3/h", "rate"),
        (Settings("single", "temperature", 300), "°C", "gauge"),
        (Settings("single", "temperature", 300, unit="F", reading="avg"), "°F", "gauge"),
        (Settings("single", "other", 300, reading="cum"), "", "register"),
        (Settings("single", "water", 300, unit="L", behaviour="gauge"), "L", "gauge"),
    ],
)
def test_what_is_left_out_gets_what_is_usual(settings: Settings, unit: str, behaviour: str) -> None:
    """A gas meter counts cubic metres and a thermometer shows degrees unless somebody says so."""
    complete = checked(settings)
    assert (complete.unit, complete.behaviour) == (unit, behaviour)


@pytest.mark.parametrize(
    ("zone", "suggestion"),
    [
        ("Europe/Dubln", "Europe/Dublin"),
        ("dublin", "Europe/Dublin"),
        ("New York", "America/New_York"),
    ],
)
def test_an_unknown_time_zone_is_answered_with_the_nearest(zone: str, suggestion: str) -> None:
    """A wrong zone would put every local day in the wrong place."""
    with pytest.raises(KilowatchError) as refused:
        check_zone(zone)
    assert suggestion in refused.value.remedy


def test_a_site_is_in_the_country_of_its_time_zone(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """Holidays follow from the country, so a site in Paris is not in Ireland by default."""
    assert country_of_zone("Europe/Paris") == "FR"
    with opened.change(actor) as change:
        organisation = registry.add_organisation(change, "Acme", country="ie")
        assert organisation.country == "IE"
        assert registry.add_site(change, organisation, "A", zone="Europe/Paris").country == "FR"
        assert registry.add_site(change, organisation, "B", zone="UTC").country == "IE"


def test_a_stream_id_is_taken_once_in_an_organisation(
    opened: catalog.Catalog, actor: catalog.Actor, site: Site
) -> None:
    """Two meters under one id would mix their readings; not everybody may know the other's name."""
    gas = Settings("single", "gas", 300)
    with opened.change(actor) as change:
        data_points.register(change, site, "Boiler", gas, stream_id="MAC/1 a")
    with (
        pytest.raises(KilowatchError, match="belongs to another data point already"),
        opened.change(actor) as change,
    ):
        data_points.register(change, site, "Kitchen", gas, stream_id="MAC/1 a")


def test_two_data_points_that_nobody_could_tell_apart_are_refused(
    opened: catalog.Catalog, actor: catalog.Actor, site: Site
) -> None:
    """Two lines named "Boiler" below one site: whose gas is it? The remedy says what to do."""
    gas = Settings("single", "gas", 300)
    with opened.change(actor) as change:
        boiler = data_points.register(change, site, "Boiler", gas)
        kitchen = data_points.register(change, site, "Kitchen", gas)
    for spelt in ("Boiler", "  boiler ", "BOILER"):
        with (
            pytest.raises(KilowatchError, match="already") as refused,
            opened.change(actor) as change,
        ):
            data_points.register(change, site, spelt, gas)
        assert (refused.value.code, refused.value.data["field"]) == ("name_taken", "name")
        assert "tells the two apart" in refused.value.remedy
    with opened.change(actor) as change:
        data_points.register(change, site, "Oven", gas)
        with pytest.raises(KilowatchError, match="already"):
            data_points.register(change, site, "oven", gas)
    with pytest.raises(KilowatchError, match="already"), opened.change(actor) as change:
        data_points.change_settings(change, kitchen.id, "boiler", gas)
    with opened.change(actor) as change:
        data_points.change_settings(change, boiler.id, "BOILER", gas)


def test_a_name_may_stand_once_on_each_meter_appliance_and_site(
    opened: catalog.Catalog, actor: catalog.Actor, site: Site
) -> None:
    """Every meter has its "Energy", and every floor its "Lights": their places tell them apart."""
    settings = Settings("single", "electricity", 300)
    with opened.change(actor) as change:
        acme = change.session.get_one(Organisation, site.organisation_id)
        elsewhere = registry.add_site(change, acme, "Shop", zone="Europe/Dublin")
        for meter in (registry.add_meter(change, site, name) for name in ("East", "West")):
            data_points.register(change, site, "Energy", settings, meter=meter)
            data_points.register(change, site, "Power", settings, meter=meter)
            for floor in ("First", "Second"):
                appliance = registry.add_appliance(change, meter, floor)
                lights = partial(data_points.register, change, site, "Lights", settings)
                lights(meter=meter, appliance=appliance)
        data_points.register(change, site, "Boiler", settings)
        data_points.register(change, elsewhere, "Boiler", settings)
    with pytest.raises(KilowatchError, match="already"), opened.change(actor) as change:
        data_points.register(change, site, "lights", settings, meter=meter, appliance=appliance)


@pytest.mark.parametrize("stream_id", ["", " a", "a ", "a\nb", "a\x00b", "x" * 201])
def test_a_stream_id_can_stand_in_a_packet(
    opened: catalog.Catalog, actor: catalog.Actor, site: Site, stream_id: str
) -> None:
    """An id with a line break or a space at its end would never be matched by a gateway's."""
    gas = Settings("single", "gas", 300)
    if not stream_id:
        with opened.change(actor) as change:
            made = data_points.register(change, site, "Boiler", gas, stream_id=None).stream_id
        assert made.startswith("gas-")
        return
    with pytest.raises(KilowatchError, match="cannot be a stream id"), opened.change(actor) as c:
        data_points.register(c, site, "Boiler", gas, stream_id=stream_id)


def test_a_data_point_changes_its_settings_but_not_its_kind(
    opened: catalog.Catalog, actor: catalog.Actor, site: Site
) -> None:
    """An interval that was registered wrongly is mended; packets of another shape are not."""
    with opened.change(actor) as change:
        point = data_points.register(change, site, "Boiler", Settings("single", "gas", 300))
    with opened.change(actor) as change:
        data_points.change_settings(change, point.id, "Boiler", Settings("single", "gas", 900))
    changed = catalog.directory.load(opened, "development").by_id(point.id)
    assert changed is not None
    assert (changed.interval_s, changed.tolerance_s) == (900, 450)
    other = Settings("electrical", "electricity", 900)
    with pytest.raises(KilowatchError, match="stays so"), opened.change(actor) as change:
        data_points.change_settings(change, point.id, "Boiler", other)


def test_an_unknown_name_is_answered_with_those_that_there_are(
    opened: catalog.Catalog, site: Site
) -> None:
    """A slip in a name is mended at the first try."""
    with opened.reading() as session:
        with pytest.raises(KilowatchError, match="no organisation") as refused:
            registry.find_organisation(session, "Acne")
        assert "Acme" in refused.value.remedy
        acme = registry.find_organisation(session, "  ACME ")
        with pytest.raises(KilowatchError, match="no site") as refused:
            registry.find_site(session, acme, "Shop")
        assert "'Office'" in refused.value.remedy
        assert registry.find_site(session, acme, "office").id == site.id
