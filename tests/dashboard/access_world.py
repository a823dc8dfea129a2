"""Two organisations with one of everything, and a person for each role: who may pass which door.

A new kind of object in a path (``/organization/{organisation_id:number}/…/{rule_id:number}``) gets
one entry here: in ``KINDS`` if it belongs to an organisation, in ``PERSONAL`` if it belongs to a
person. A new ``Access`` gets one in ``WHO``. ``test_access.py`` finds the routes by itself.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from starlette.testclient import TestClient

from kilowatch import catalog as catalogs
from kilowatch.catalog import (
    alerts,
    bulk,
    comments,
    credentials,
    data_points,
    export_links,
    groups,
    handing_over,
    invitations,
    people,
    plans,
    registry,
    secrets,
    tokens,
    verdicts,
)
from kilowatch.catalog.changes import Change
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.export_links import Wanted
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, LoginSession, Organisation, Role, Site, Table, User
from kilowatch.catalog.tables_estate import ImportDraft, PackageLink
from kilowatch.catalog.tables_imports import HistoryFile, ImportProfile
from kilowatch.catalog.tables_people import Invitation
from kilowatch.client.columns import Shape
from kilowatch.dashboard.access import SESSION_COOKIE, Access, Door
from kilowatch.dashboard.security import csrf_token
from kilowatch.model.insight import EventKind
from kilowatch.notify.book import insert
from kilowatch.notify.sealing import Sealer
from tests.dashboard.fake_insights import event
from tests.dashboard.fakes import DAY_MS
from tests.dashboard.worlds import ADMIN, END_USER, KEY, PASSWORD, STRANGER, VIEWER, World

READERS = frozenset({"administrator", "partner administrator", "manager", "analyst", "viewer"})
ANALYSTS = READERS - {"viewer"}
MANAGERS = ANALYSTS - {"analyst"}
ADMINISTRATORS = MANAGERS - {"manager"}
PARTNERS = frozenset({"partner administrator"})
EVERYBODY = READERS | {"end user"}

WHO: dict[Access, frozenset[str]] = {
    Access.ANYONE: EVERYBODY,
    Access.OF_LINK: frozenset(),
    Access.SIGNED_IN: EVERYBODY,
    Access.READ_POINT: READERS,
    Access.EXPORT_POINT: ANALYSTS,
    Access.COMMENT_POINT: ANALYSTS,
    Access.EXPORT_SITE: ANALYSTS,
    Access.ACT_ON_POINT: ANALYSTS,
    Access.MANAGE_POINT: MANAGERS,
    Access.READ_SITE: READERS,
    Access.MANAGE_SITE: MANAGERS,
    Access.READ_ORGANISATION: READERS,
    Access.MANAGE_ORGANISATION: MANAGERS,
    Access.ADMINISTER_ORGANISATION: ADMINISTRATORS,
    Access.EXPORT_SOMEWHERE: ANALYSTS,
    Access.MANAGE_SOMEWHERE: MANAGERS,
    Access.ADMINISTER_SOMEWHERE: ADMINISTRATORS,
    Access.PARTNER: PARTNERS,
}
"""Which roles pass, written down by hand: not what the code computes, but what was decided."""

PEOPLE: dict[str, str] = {
    "administrator": ADMIN,
    "manager": "manager@example.com",
    "analyst": "analyst@example.com",
    "viewer": VIEWER,
    "end user": END_USER,
    "partner administrator": "partner@example.com",
}
NOWHERE = "http://127.0.0.1:9/"  # the discard port: a test message goes nowhere
MARK = "Geheim"
"""In every name that the other organisation has."""


@dataclass
class Furnishing:
    """What an organisation is given one of everything with."""

    change: Change
    organisation: Organisation
    site: Site
    mark: str
    made: dict[str, Any] = field(default_factory=dict)

    def name(self, kind: str) -> str:
        """Return a name that tells whose it is."""
        return f"{self.mark} {kind}"


def _meter(own: Furnishing) -> int:
    own.made["meter"] = registry.add_meter(own.change, own.site, own.name("meter"))
    return int(own.made["meter"].id)


def _appliance(own: Furnishing) -> int:
    made = registry.add_appliance(own.change, own.made["meter"], own.name("appliance"))
    return made.id


def _point(own: Furnishing) -> int:
    power = Settings("electrical", "electricity", 300)
    name = own.name("point")
    made = data_points.register(
        own.change, own.site, name, power, meter=own.made["meter"], stream_id=name.lower()
    )
    own.made["point"] = made
    return made.id


def _credential(own: Furnishing) -> int:
    target = Target(own.organisation, own.site)
    issued = credentials.issue(
        own.change, KEY, target, environment="development", name=own.name("credential")
    )
    own.made["secrets"] = [issued.credential.username, issued.secret]
    return issued.credential.id


def _link(own: Furnishing) -> int:
    user, _ = people.add_user(own.change, f"{own.mark}-customer@example.net".lower())
    token = secrets.new_secret()
    own.made["secrets"].append(token)
    link = PackageLink(
        organisation_id=own.organisation.id,
        user_id=user.id,
        token_digest=secrets.digest(KEY, token, handing_over.PURPOSE),
        environment="development",
        created_at_ms=own.change.now_ms,
        expires_at_ms=own.change.now_ms + DAY_MS,
    )
    own.change.session.add(link)
    own.change.session.flush()
    return link.id


def _member(own: Furnishing) -> int:
    user, _ = people.add_user(own.change, f"{own.mark}-member@example.net".lower())
    people.set_role(own.change, user, own.organisation, "viewer")
    own.made["secrets"].append(user.email)
    return user.id


def _invitation(own: Furnishing) -> int:
    token = secrets.new_secret()
    own.made["secrets"].append(token)
    made = Invitation(
        organisation_id=own.organisation.id,
        email=f"{own.mark}-invited@example.net".lower(),
        role="viewer",
        whole_organisation=True,
        token_digest=secrets.digest(KEY, token, invitations.PURPOSE),
        created_at_ms=own.change.now_ms,
        expires_at_ms=own.change.now_ms + invitations.VALID_MS,
    )
    own.change.session.add(made)
    own.change.session.flush()
    return made.id


def _entry(own: Furnishing) -> int:
    """Return a line of the history that can be undone: the site has moved."""
    own.site.city = own.name("town")
    own.change.session.flush()
    newest = select(func.max(AuditEntry.id)).where(
        AuditEntry.organisation_id == own.organisation.id
    )
    return int(own.change.session.execute(newest).scalar_one())


def _channel(own: Furnishing) -> int:
    sealed = Sealer(KEY).seal(own.organisation.id, {"service": "webhook", "url": NOWHERE})
    name = own.name("channel")
    made = alerts.add_channel(own.change, own.organisation.id, name, "webhook", "hook", sealed)
    return made.id


def _rule(own: Furnishing) -> int:
    watched = alerts.Watched(site_id=own.site.id)
    made = alerts.add_rule(
        own.change, own.organisation.id, own.name("rule"), "offline", watched, {}
    )
    return made.id


def _profile(own: Furnishing) -> int:
    profile = ImportProfile(
        organisation_id=own.organisation.id,
        name=own.name("profile"),
        shape=Shape().as_json(),
        created_at_ms=own.change.now_ms,
    )
    own.change.session.add(profile)
    own.change.session.flush()
    return profile.id


def _event(own: Furnishing) -> int:
    """Return the name of an event at the data point; the insights are given it later."""
    return EVENT + int(own.made["point"].id)


def _said(own: Furnishing) -> int:
    number = own.made["point"].id
    about = verdicts.About(str(EVENT + number), number, EventKind.WEEKEND, 0, 3_600_000)
    return verdicts.give(own.change, about, None, comment=own.name("comment")).id


def _comment(own: Furnishing) -> int:
    return comments.add(own.change, own.made["point"].id, (1, 2), own.name("comment")).id


EVENT = 9_000
"""Events are named by this plus the number of their data point."""

KINDS: dict[str, Callable[[Furnishing], int]] = {
    "organisation_id": lambda own: own.organisation.id,
    "site_id": lambda own: own.site.id,
    "meter_id": _meter,
    "appliance_id": _appliance,
    "point_id": _point,
    "credential_id": _credential,
    "link_id": _link,
    "user_id": _member,
    "invitation_id": _invitation,
    "group_id": lambda own: groups.add(own.change, own.organisation.id, own.name("group")).id,
    "plan_id": lambda own: plans.add(own.change, own.organisation.id, own.name("plan"), []).id,
    "entry_id": _entry,
    "channel_id": _channel,
    "rule_id": _rule,
    "profile_id": _profile,
    "event_id": _event,
    "said_id": _said,
    "comment_id": _comment,
}
"""By name in a path: makes one for an organisation, and returns its number. In this order."""


def _draft(own: Furnishing, user: User) -> int:
    draft = ImportDraft(
        organisation_id=own.organisation.id,
        user_id=user.id,
        created_at_ms=own.change.now_ms,
        name=own.name("file.csv"),
        content=zlib.compress(bulk.template()),
    )
    own.change.session.add(draft)
    own.change.session.flush()
    return draft.id


def _history_file(own: Furnishing, user: User) -> int:
    file = HistoryFile(
        organisation_id=own.organisation.id,
        user_id=user.id,
        created_at_ms=own.change.now_ms,
        name=own.name("history.csv"),
        shape=Shape().as_json(),
        content=zlib.compress(b"time,value\n2026-11-01 10:00,1\n"),
    )
    own.change.session.add(file)
    own.change.session.flush()
    return file.id


def _export_link(own: Furnishing, user: User) -> int:
    wanted = Wanted(own.organisation.id, own.name("link"), {"pairs": []}, "csv", 7)
    made = export_links.make(own.change, KEY, user.id, wanted)
    own.made["secrets"].append(made.token)
    return made.row.id


PERSONAL: dict[str, Callable[[Furnishing, User], int]] = {
    "draft_id": _draft,
    "file_id": _history_file,
    "export_id": _export_link,
}
"""As ``KINDS``, for what belongs to a person: made for each of them."""

QUERIES: dict[str, str] = {
    "/data/series": "point={point_id}",
    "/data/series.csv": "point={point_id}",
    "/data/days": "point={point_id}&month=2026-11",
    "/breakdown/site/{site_id:number}/days": "month=2026-11",
    "/breakdown/site/{site_id:number}/overlays": "from=1794000000000&to=1794100000000",
    "/breakdown/site/{site_id:number}/comments": "from=1794000000000&to=1794100000000",
    "/breakdown/site/{site_id:number}/others": "q=",
    "/data/points": "point={point_id}&q=",
    "/data/comments": "point={point_id}&from=1794000000000&to=1794100000000",
    "/data/requests": "point={point_id}",
    "/data/today": "points={point_id}",
    "/manual": "page=use/insights",
    "/data/circuits": "points={point_id}",
    "/data/heatmap": "point={point_id}",
    "/data/heatmap.csv": "point={point_id}",
    "/compare": "items=s{site_id},p{point_id}",
    "/data/compare": "items=s{site_id},p{point_id}",
    "/data/compare.csv": "items=s{site_id},p{point_id}",
    "/data/compare/peaks": "items=s{site_id},p{point_id}",
    "/data/stand.csv": "place=s{site_id}",
    "/data/ends.csv": "place=s{site_id}",
    "/data/flow": "place=s{site_id}",
    "/data/flow.csv": "place=s{site_id}",
    "/data/profile": "point={point_id}",
    "/data/profile.csv": "point={point_id}",
    "/data/overlays": "point={point_id}&from=1794000000000&to=1794100000000",
    "/data/forecast": "point={point_id}",
    "/export": "place=s{site_id}&place=p{point_id}&place=o{organisation_id}",
    "/export/preview": "place=s{site_id}&place=p{point_id}&place=o{organisation_id}",
    "/export/file": "place=s{site_id}&place=p{point_id}&place=o{organisation_id}",
    "/data/sentinel.csv": "place=s{site_id}",
    "/data/answers.csv": "place=s{site_id}",
    "/data/waste.csv": "place=s{site_id}",
    "/data/hours.csv": "point={point_id}&date=2026-11-01&until=2026-11-02",
    "/data/gaps.csv": "place=s{site_id}&year=2026",
    "/sentinel": "place=s{site_id}",
    "/forecast": "place=s{site_id}",
    "/forecast/site": "place=s{site_id}",
    "/flow": "place=s{site_id}",
    "/waste": "place=s{site_id}",
}
"""What an address must be asked with, where its path is not enough."""

NAMED_IN_FORM = frozenset({"/account/sessions", "/account/tokens/revoke", "/export/links/revoke"})
"""Their forms name something by its number: somebody else's is not there."""

ENDLESS = {"/live": "a stream that never ends; tests/dashboard/test_live.py looks into it"}


LEVELS = frozenset({"organisation_id", "site_id", "point_id", "number"})
"""What a door checks by itself; that anything else belongs there, its handler does."""

PARTLY = {"/organization/{number:number}": "shows an end user the sites that were granted"}


@dataclass
class Side:
    """An organisation with one of everything.

    Attributes:
        numbers: By name in a path.
        personal: The same for what belongs to a person, by e-mail address.
        secrets: Texts that only its own people may see.
    """

    numbers: dict[str, int]
    personal: dict[str, dict[str, int]]
    secrets: list[str]

    def address(self, door: Door, email: str) -> str:
        """Return a door's address with the numbers of this organisation.

        Raises:
            AssertionError: The path names a kind of object that this world does not have.
        """
        numbers = self.numbers | self.personal.get(email, {})
        if door.path.startswith(("/site/{number", "/organization/{number")):
            place = "site_id" if door.path.startswith("/site") else "organisation_id"
            numbers = numbers | {"number": numbers[place]}

        def fill(match: re.Match[str]) -> str:
            kind = match[1]
            assert kind in numbers, (
                f"{door.path} names a {kind!r}, of which this test has none: add a function that "
                f"makes one to KINDS (or PERSONAL) in tests/dashboard/access_world.py."
            )
            return str(numbers[kind])

        path = re.sub(r"\{(\w+)(?::\w+)?\}", fill, door.path)
        query = QUERIES.get(door.path)
        return f"{path}?{query.format(**numbers)}" if query else path


class Matrix:
    """The world of the access test: both sides, a logged-in client for each role, and a way back.

    Args:
        world: The usual organisation of the dashboard's tests.
        folder: Where its catalogue is.
    """

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._file, self._copy = folder / "catalog.sqlite", folder / "catalog.before"
        with world.catalog.change(catalogs.Actor("test")) as change:
            self.users = self._staff(change)
            self.ours = self._side(change, "Acme", "Office Dublin", "Ours")
            self.theirs = self._side(change, "Elsewhere", "Werk", MARK)
        for side in (self.ours, self.theirs):
            side.numbers["alert_id"] = self._alert(side.numbers)
            self._found(side.numbers)
        levels = {kind: self.ours.numbers[kind] for kind in LEVELS & KINDS.keys()}
        # Our organisation in the path, and an object of theirs behind it.
        self.mixed = Side(self.theirs.numbers | levels, self.theirs.personal, [])
        self._forget()
        self._log_in(STRANGER)
        with world.catalog.change(catalogs.Actor("test")) as change:
            stranger = people.find_by_email(change.session, STRANGER)
            assert stranger is not None
            made = tokens.make(change, KEY, stranger.id, f"{MARK} token", read_only=True, days=1)
            session = select(LoginSession.id).where(LoginSession.user_id == stranger.id)
            self._named = {
                "session": str(change.session.execute(session).scalar_one()),
                "token": str(made.row.id),
                "export_link": str(self._theirs_link(change, stranger)),
            }
        self._tokens = {role: self._log_in(email) for role, email in PEOPLE.items()}
        self.keep()

    def keep(self) -> None:
        """Keep everything as it is now, for ``unharmed`` and ``restore``."""
        shutil.copyfile(self._file, self._copy)
        self._before = self.digest()

    def _theirs_link(self, change: Change, stranger: User) -> int:
        number = self.theirs.numbers["organisation_id"]
        wanted = Wanted(number, f"{MARK} link", {"pairs": []}, "csv", 7)
        return export_links.make(change, KEY, stranger.id, wanted).row.id

    def _staff(self, change: Change) -> dict[str, User]:
        acme = registry.find_organisation(change.session, "Acme")
        roles: dict[str, Role] = {
            "manager": "manager",
            "analyst": "analyst",
            "partner administrator": "partner administrator",
        }
        for called, role in roles.items():
            user, _ = people.add_user(change, PEOPLE[called], password=PASSWORD)
            people.set_role(change, user, acme, role)
        found = {email: people.find_by_email(change.session, email) for email in PEOPLE.values()}
        return {email: user for email, user in found.items() if user is not None}

    def _side(self, change: Change, organisation: str, site: str, mark: str) -> Side:
        owner = registry.find_organisation(change.session, organisation)
        own = Furnishing(change, owner, registry.find_site(change.session, owner, site), mark)
        numbers = {kind: make(own) for kind, make in KINDS.items()}
        personal = {
            email: {kind: make(own, user) for kind, make in PERSONAL.items()}
            for email, user in self.users.items()
        }
        names = [mark, organisation, site, *own.made["secrets"]]
        return Side(numbers, personal, [*names, "Presse", STRANGER] if mark == MARK else names)

    def _found(self, numbers: dict[str, int]) -> None:
        """Let insights have found the event that people have said something of."""
        point = catalogs.directory.load(self.world.catalog, "development").by_id(
            numbers["point_id"]
        )
        assert point is not None
        found = event(point.series, EventKind.WEEKEND, self.world.now[0] - 3 * DAY_MS, 24)
        self.world.extra["insights"].put(replace(found, id=str(numbers["event_id"])))

    def _alert(self, numbers: dict[str, int]) -> int:
        """Raise an alert about a side's point; alerts are in a book of their own."""
        now_ms = self.world.now[0]
        place = {"organisation_id": numbers["organisation_id"]}
        rule = {"rule_id": numbers["rule_id"], "rule_name": "silent", "kind": "offline"}
        times = {"opened_ms": now_ms, "tell_ms": now_ms, "told_ms": now_ms}
        with self.world.extra["notifier"]._book.writing() as tx:
            number = insert(tx, "alert", [{**rule, **place, **times}])
            about = {"data_point_id": numbers["point_id"], "site_id": numbers["site_id"]}
            since = dict.fromkeys(("since_ms", "due_ms", "noticed_ms"), now_ms)
            insert(tx, "member", [{"alert_id": number, **about, **since}])
        return number

    def client(self, role: str) -> TestClient:
        """Return a client with a role's session, and nothing that an earlier answer left."""
        client = TestClient(self.world.app, follow_redirects=False, raise_server_exceptions=False)
        client.cookies.set(SESSION_COOKIE, self._tokens[role])
        return client

    def _log_in(self, email: str) -> str:
        client = TestClient(self.world.app, follow_redirects=False)
        page = client.get("/login")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', page.text)
        assert token
        sent = {"csrf": token[1], "email": email, "password": PASSWORD}
        assert client.post("/login", data=sent).status_code == 303
        return str(client.cookies[SESSION_COOKIE])

    def form(self, client: TestClient) -> dict[str, str]:
        """Return a form with a valid token that names what the other organisation has."""
        theirs = self.theirs.numbers
        session = client.cookies[SESSION_COOKIE]
        return {
            "csrf": csrf_token(KEY, session),
            "name": "taken over",
            "country": "IE",
            "zone": "Europe/Dublin",
            "site": str(theirs["site_id"]),
            "meter": str(theirs["meter_id"]),
            "appliance": str(theirs["appliance_id"]),
            "place": f"{theirs['meter_id']}/{theirs['appliance_id']}",
            "point": str(theirs["point_id"]),
            "user": str(self.users[ADMIN].id),
            "scope": "site",
            "environment": "development",
            "interval": "5m",
            "kind": "electrical",
            "utility": "electricity",
            "stamp": "start",
            "clock": "auto",
            "role": "administrator",
            **self._named,
        }

    def digest(self) -> str:
        """Return what the other organisation's rows are: nobody else may change them."""
        number = self.theirs.numbers["organisation_id"]
        found = hashlib.blake2b(digest_size=8)
        with self.world.catalog.reading() as session:
            for table in Table.metadata.sorted_tables:
                key = table.c.id if table.name == "organisation" else None
                key = table.c.get("organisation_id") if key is None else key
                if key is None or table.name == "audit":
                    continue
                rows = session.execute(select(table).where(key == number)).all()
                found.update(repr((table.name, rows)).encode())
        return found.hexdigest()

    def unharmed(self) -> bool:
        """Tell whether the other organisation is as it was."""
        return self.digest() == self._before

    def restore(self) -> None:
        """Bring everything back to how it was, sessions included."""
        self.world.catalog.engine.dispose()
        shutil.copyfile(self._copy, self._file)
        self._forget()

    def _forget(self) -> None:
        held = self.world.app.state.rooms.registry
        held._directory = None  # a restored catalogue has an earlier revision again
        held._trees.clear()
        held._facts = None
        held._fed_by.clear()
        held._fed_over.clear()
