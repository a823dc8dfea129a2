"""Two organisations with people of every sort, and a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kilowatch import catalog as catalogs
from kilowatch.catalog import data_points, people, registry, rights
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import DataPoint, Organisation, Site, User

GOOD = "correct horse battery staple"
KEY = bytes(range(32))
START_MS = 1_795_435_200_000
_ROWS: dict[str, type[Any]] = {
    "organisations": Organisation, "sites": Site, "points": DataPoint, "users": User,
}  # fmt: skip


@dataclass
class World:
    """A catalogue with its clock, and the rows that were made."""

    catalog: catalogs.Catalog
    now: list[int]
    organisations: dict[str, Organisation] = field(default_factory=dict)
    sites: dict[str, Site] = field(default_factory=dict)
    points: dict[str, DataPoint] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)

    def person(self, name: str) -> rights.Person:
        """Load what a person may do now."""
        with self.catalog.reading() as session:
            user = session.get(User, self.users[name].id)
            assert user is not None
            return rights.person(session, user)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now[0] += ms

    def actor(self, name: str) -> catalogs.Actor:
        """Return a person as who makes a change."""
        return catalogs.Actor(self.users[name].email, self.users[name].id, "192.0.2.1")


Furnish = Callable[[World], None]
_KEPT: dict[Furnish | None, tuple[bytes, dict[str, dict[str, int]]]] = {}
"""The file that was made once, and the numbers in it; each test has a copy."""


def build(folder: Path, furnish: Furnish | None = None) -> World:
    """Build Acme (Ann administers, Vera views, Tom has the shop) and Elsewhere (Sue, Ann views).

    Args:
        folder: Where the catalogue goes.
        furnish: Adds more to a world; called once in a run, since the file is kept.
    """
    now = [START_MS]
    path = folder / "catalog.sqlite"
    if furnish not in _KEPT:
        made = World(catalogs.open(path, clock=lambda: now[0]), now)
        _register(made)
        if furnish is not None:
            furnish(made)
        made.catalog.close()
        numbers = {
            kind: {name: row.id for name, row in getattr(made, kind).items()} for kind in _ROWS
        }
        _KEPT[furnish] = path.read_bytes(), numbers
    content, numbers = _KEPT[furnish]
    path.write_bytes(content)
    world = World(catalogs.open(path, clock=lambda: now[0]), now)
    with world.catalog.reading() as session:
        for kind, table in _ROWS.items():
            found = {name: session.get_one(table, number) for name, number in numbers[kind].items()}
            getattr(world, kind).update(found)
    return world


def _register(world: World) -> None:
    with world.catalog.change(catalogs.Actor("test")) as change:
        for name in ("Acme", "Elsewhere"):
            world.organisations[name] = registry.add_organisation(change, name, country="IE")
        for name, owner in (("Office", "Acme"), ("Shop", "Acme"), ("Works", "Elsewhere")):
            organisation = world.organisations[owner]
            world.sites[name] = registry.add_site(change, organisation, name, zone="Europe/Dublin")
        for name, site in (("main", "Office"), ("till", "Shop"), ("press", "Works")):
            settings = Settings("electrical", "electricity", 300)
            world.points[name] = data_points.register(
                change, world.sites[site], name, settings, stream_id=name
            )
        for name in ("ann", "vera", "tom", "sue"):
            world.users[name], _ = people.add_user(
                change, f"{name}@example.com", name=name.title(), password=GOOD
            )
        acme, elsewhere = world.organisations["Acme"], world.organisations["Elsewhere"]
        people.set_role(change, world.users["ann"], acme, "administrator")
        people.set_role(change, world.users["ann"], elsewhere, "viewer")
        people.set_role(change, world.users["vera"], acme, "viewer")
        people.set_role(change, world.users["tom"], acme, "end user")
        people.grant(change, world.users["tom"], world.sites["Shop"])
        people.set_role(change, world.users["sue"], elsewhere, "administrator")
