from __future__ import annotations

import stat
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from kilowatch import catalog
from kilowatch.catalog import Actor, credentials, directory, facts, people, prices, secrets
from kilowatch.catalog.registry import sites as registry_sites
from kilowatch.demo import TRY_STREAM, organisation
from kilowatch.demo import facts as facts_of_demo
from kilowatch.demo.organisation import DASHBOARD_USER, FILE
from kilowatch.demo.plan import STREAMS
from kilowatch.demo.timeline import is_school_day


@pytest.fixture
def registry(tmp_path: Path) -> catalog.Catalog:
    """Return an empty catalogue."""
    return catalog.open(tmp_path / "catalog.sqlite")


@pytest.fixture
def key(tmp_path: Path) -> bytes:
    """Return the server's key."""
    made: bytes = secrets.load_or_create_key(tmp_path)
    return made


def test_the_demo_is_registered_once_and_found_again(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """A second start prints the same account and registers nothing twice."""
    first = organisation(registry, tmp_path, key)
    second = organisation(registry, tmp_path, key)
    assert first == second
    assert first.dashboard_password
    points = directory.load(registry, "development").points.values()
    assert sorted(point.stream_id for point in points) == sorted(
        [TRY_STREAM, *(stream.stream_id for stream in STREAMS)]
    )
    assert TRY_STREAM not in first.streams
    assert {point.zone for point in points} == {"Europe/Dublin"}


def test_its_credential_reaches_every_stream_of_the_demo(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """The simulator has one credential for the organisation, as a gateway would."""
    account = organisation(registry, tmp_path, key)
    known = directory.load(registry, "development")
    credential = known.credential(account.username)
    assert credential is not None
    assert secrets.digest(key, account.password) == credential.secret_digest
    for stream in STREAMS:
        point = known.find(credential, stream.stream_id)
        assert point is not None
        assert credential.allowed(point)
        assert (point.kind, point.behaviour) == (stream.kind, stream.behaviour)


def test_its_secrets_are_kept_where_only_the_owner_reads(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """No default password exists: each demo has its own, in a private file."""
    account = organisation(registry, tmp_path, key)
    path = tmp_path / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert account.password in path.read_text()
    assert account.password not in repr(account)
    assert account.dashboard_password not in repr(account)


def test_lost_or_revoked_secrets_are_replaced_and_a_chosen_password_is_respected(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """The demo mends itself, but never takes an account away from a person."""
    first = organisation(registry, tmp_path, key)
    (tmp_path / FILE).unlink()
    second = organisation(registry, tmp_path, key)
    assert second.password != first.password
    assert second.dashboard_password != first.dashboard_password
    with registry.change(Actor("test")) as change:
        credentials.revoke(change, second.username)
        user = people.find_by_email(change.session, DASHBOARD_USER)
        assert user is not None
        people.set_password(change, user.id, "four words of mine")
    third = organisation(registry, tmp_path, key)
    assert third.username != second.username
    assert third.dashboard_password == ""
    assert organisation(registry, tmp_path, key) == third


def test_the_demo_knows_its_prices_weather_and_calendars(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """Insights of the demo show money, CO2 and working days; what a person changes stays."""
    account = organisation(registry, tmp_path, key)
    with registry.reading() as session:
        read = facts.read(session, organisation_id=account.organisation_id)
        names = {site.id: site.name for site in registry_sites(session, account.organisation_id)}
    office, market, school = (read[number] for number in sorted(names))
    now = registry.clock()
    for site in (office, market, school):
        assert site.temperature_point is not None
        assert site.opening is not None
        assert site.currency == "EUR"
        for utility, unit in (("electricity", "Wh"), ("gas", "m3"), ("water", "m3")):
            price = site.price_at(utility, now, unit)
            assert price is not None
            assert "Demo" in price.label
        assert site.carbon_at("electricity", now) is not None
    market_price = market.price_at("electricity", now)
    assert market_price is not None
    assert not market_price.whole_organisation
    patrick = date(2026, 3, 17)
    assert office.closed(patrick)
    first = facts_of_demo.school_holidays(2026)[0]
    assert first[0] == "February mid-term"
    assert (first[2] - first[1]).days >= 7

    with registry.change(Actor("somebody")) as change:
        for row in prices.prices(change.session, account.organisation_id):
            prices.remove(change, row)
    organisation(registry, tmp_path, key)
    with registry.reading() as session:
        assert prices.prices(session, account.organisation_id) == []


def test_the_demo_market_trades_on_holidays_and_its_school_rests(
    registry: catalog.Catalog, key: bytes, tmp_path: Path
) -> None:
    """What the calendars say is what the simulation does, this year."""
    account = organisation(registry, tmp_path, key)
    with registry.reading() as session:
        read = facts.read(session, organisation_id=account.organisation_id)
    _, market, school = (read[number] for number in sorted(read))
    year = datetime.fromtimestamp(registry.clock() / 1000, UTC).year
    days = [date(year, 1, 5) + timedelta(days=n) for n in range(340)]
    assert [day for day in days if market.closed(day)] == []
    assert market.closed(date(year, 12, 25))
    lessons = [day for day in days if day.weekday() < 5 and not school.closed(day)]
    assert [day for day in lessons if not is_school_day(day)] == []
    assert [day for day in days if is_school_day(day) and school.closed(day)] == []
