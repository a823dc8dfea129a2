"""The startup package: everything that an integrator needs to push a first packet."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from kilowatch.catalog import alerts, credentials, data_points, people, registry
from kilowatch.catalog.changes import Change
from kilowatch.catalog.credentials import Issued, Target
from kilowatch.catalog.places import DEFAULT_ZONE, check_zone, country_of_zone
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint, Environment, Organisation, Site, User
from kilowatch.model.errors import KilowatchError

DEFAULT_INTERVAL_S = 300
DEFAULT_COUNTRY = "IE"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the integrator says about the streams; the defaults are those of the command.

    Attributes:
        zone: Time zone of the site.
        country: None for the time zone's.
        interval_s: Expected interval of all three streams [s].
        reading: ``cum`` or ``avg`` for electricity and gas; a temperature is never cumulative.
        environment: In which the credential works.
    """

    zone: str = DEFAULT_ZONE
    country: str | None = None
    interval_s: int = DEFAULT_INTERVAL_S
    reading: str = "cum"
    environment: Environment = "development"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a package registers, without any secret."""

    organisation: Organisation
    site: Site
    streams: dict[str, DataPoint]
    user: User


@dataclass(frozen=True, slots=True)
class StartupPackage(Prepared):
    """What was made; both secrets are shown once and stored only as digests."""

    issued: Issued
    password: str


CREDENTIAL_NAME = "Startup package"
STREAMS = ("electricity", "gas", "environmental")
"""What a package registers, in this order."""


def make(change: Change, key: bytes, name: str, email: str, wishes: Wishes) -> StartupPackage:
    """Make an organisation with a site, three streams, a partner credential and an account.

    Args:
        change: An open change; all of it is made, or nothing.
        key: The server's key.
        name: Of the new organisation.
        email: Of its administrator's dashboard account.
        wishes: The settings.

    Raises:
        KilowatchError: ``organisation_exists`` or ``user_exists`` (a second package would hand
            the first one's streams to somebody else), or what is wrong with a wish.
    """
    prepared, password = prepare(change, name, email, wishes)
    issued = issue(change, key, prepared.organisation, wishes.environment)
    return StartupPackage(
        prepared.organisation, prepared.site, prepared.streams, prepared.user, issued, password
    )


def issue(
    change: Change, key: bytes, organisation: Organisation, environment: Environment
) -> Issued:
    """Issue the credential of a package: it reaches the whole organisation."""
    return credentials.issue(
        change, key, Target(organisation), environment=environment, name=CREDENTIAL_NAME
    )


def prepare(change: Change, name: str, email: str, wishes: Wishes) -> tuple[Prepared, str]:
    """Make what a package registers: all of it but the credential.

    With the usual rule, so that the bell rings for what is found; no message goes out of it.

    Returns:
        What was made, and the account's generated password.

    Raises:
        KilowatchError: As ``make``.
    """
    zone = check_zone(wishes.zone)
    country = wishes.country or country_of_zone(zone) or DEFAULT_COUNTRY
    try:
        organisation = registry.add_organisation(
            change, name, country=country, live=wishes.environment == "production"
        )
    except KilowatchError as error:
        if error.code == "organisation_exists":
            quoted = shlex.quote(" ".join(name.split()))
            error.remedy = (
                "Nothing was changed. For another credential run 'kilowatch credential add "
                f"--organization {quoted} --scope partner'; for another stream run "
                f"'kilowatch data-point add --organization {quoted} --name …'."
            )
        raise
    site = registry.add_site(change, organisation, "Main site", zone=zone, country=country)
    streams = {
        stream: data_points.register(change, site, title, settings)
        for stream, (title, settings) in _streams(wishes).items()
    }
    alerts.add_usual_rule(change, organisation.id)
    user, password = people.add_user(change, email)
    people.set_role(change, user, organisation, "administrator")
    return Prepared(organisation, site, streams, user), password


def _streams(wishes: Wishes) -> dict[str, tuple[str, Settings]]:
    every, reading = wishes.interval_s, wishes.reading
    return {
        "electricity": (
            "Electricity",
            Settings("electrical", "electricity", every, reading=reading),
        ),
        "gas": ("Gas", Settings("single", "gas", every, unit="m3", reading=reading)),
        "environmental": (
            "Temperature",
            Settings("single", "environmental", every, unit="°C", behaviour="gauge"),
        ),
    }
