"""What the commands that register things share: the catalogue of a data folder, and its server.

They work on the catalogue's file, so the server may be running, stopped, or not started yet.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch import catalog
from kilowatch.catalog import Actor, Catalog, Change, registry, secrets
from kilowatch.catalog.settings_check import one_of
from kilowatch.catalog.tables import ENVIRONMENTS, DataPoint, Environment, Organisation
from kilowatch.cli import settings as settings_module
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.settings import Settings
from kilowatch.model.errors import KilowatchError

PUSH_PATH = "/measurements/v2/unifiedjson/"
WIDE = 200  # a table that goes to a file or a pipe must not cut stream ids

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program.")]
OrganisationName = Annotated[
    str | None,
    typer.Option(
        "--organization", metavar="NAME", help="Whose; may be left out while there is only one."
    ),
]


StreamOwner = Annotated[
    str | None,
    typer.Option(
        "--organization", metavar="NAME", help="Whose; needed if several have a stream of that id."
    ),
]


@dataclass(frozen=True, slots=True)
class Server:
    """The server of a data folder, as its settings and its last start describe it."""

    folder: DataFolder
    settings: Settings

    @classmethod
    def of(cls, data: Path) -> Server:
        """Return the server of a data folder, which is made when it is missing.

        Raises:
            KilowatchError: The folder or a setting can't be used.
        """
        folder = DataFolder(data.absolute())
        folder.create()
        return cls(folder, settings_module.load(folder.root, {}, os.environ))

    @property
    def environment(self) -> Environment:
        """The environment of the last start, or else of the settings."""
        started: Environment | None = self.folder.read_addresses().get("environment")
        return started if started in ENVIRONMENTS else self.settings.environment

    @property
    def push_https(self) -> str:
        """Where gateways push."""
        return self._address("push_https", self.settings.push_https_port, PUSH_PATH)

    @property
    def push_http(self) -> str:
        """Where programs on this machine push in the development environment."""
        return self._address("push_http", self.settings.push_http_port, PUSH_PATH)

    @property
    def dashboard(self) -> str:
        """Where people look: without TLS on this machine in the development environment."""
        if self.environment == "development" and not self.settings.public_dashboard_url:
            return self._address("dashboard_http", self.settings.dashboard_port, "/")
        return self._address("dashboard_https", self.settings.dashboard_https_port, "/")

    @property
    def certificate(self) -> Path | None:
        """The self-signed certificate that clients on this machine can trust, if it is made."""
        made = self.folder.tls / "cert.pem"
        return None if self.settings.tls_certificate or not made.exists() else made

    @property
    def running(self) -> bool:
        """Whether the collector answers at its socket."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.folder.collector_socket))
            except OSError:
                return False
        return True

    def key(self) -> bytes:
        """Return the key of the secrets' digests, made at the first use.

        Raises:
            KilowatchError: ``key_damaged`` or ``wrong_setting``.
        """
        return secrets.server_key(self.folder.root, self.settings.secret_key)

    @contextmanager
    def opened(self) -> Iterator[Catalog]:
        """Open the catalogue, made at the first use."""
        opened = catalog.open(self.folder.catalog)
        try:
            yield opened
        finally:
            opened.close()

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Open a change of the catalogue in the name of whoever sits at the command line."""
        with self.opened() as opened, opened.change(Actor.shell()) as change:
            yield change

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open the catalogue for reading."""
        with self.opened() as opened, opened.reading() as session:
            yield session

    def _address(self, name: str, port: int, path: str) -> str:
        public = {
            "push_https": self.settings.public_push_url,
            "dashboard_https": self.settings.public_dashboard_url,
        }.get(name)
        if public:
            return (
                public
                if path == "/" or public.rstrip("/").endswith(path[1:-1])
                else (public.rstrip("/") + path)
            )
        told: str | None = self.folder.read_addresses().get(name)
        if told:
            return told
        host = self.settings.shown_host
        return f"{name.rsplit('_', 1)[1]}://{host}:{port}{path}"


def organisation_named(session: Session, name: str | None) -> Organisation:
    """Return the organisation of that name, or the only one when no name is given.

    Raises:
        KilowatchError: ``unknown_organisation``, or ``which_organisation`` without a name.
    """
    if name is not None:
        return registry.find_organisation(session, name)
    there = registry.organisations(session)
    if len(there) == 1:
        return there[0]
    names = ", ".join(repr(row.name) for row in there[:10])
    raise KilowatchError(
        "which_organisation",
        "Which organisation?" if there else "There is no organisation yet.",
        remedy=f"Name one with --organization: {names}."
        if there
        else "Begin with 'kilowatch startup-package --organization NAME --email ADDRESS'.",
    )


def organisation_of(session: Session, name: str | None, stream: str) -> Organisation:
    """Return the organisation that is named, the only one, or the only one with that stream.

    Raises:
        KilowatchError: ``unknown_organisation``, or ``which_organisation`` where several can be
            meant and none is named.
    """
    if name is None:
        owners = select(Organisation).join(DataPoint, DataPoint.organisation_id == Organisation.id)
        found = session.scalars(owners.where(DataPoint.stream_id == stream)).all()
        if len(found) == 1:
            return found[0]
    return organisation_named(session, name)


def owner_of_stream(server: Server, stream: str, name: str | None) -> dict[str, int]:
    """Return what tells the platform whose stream is meant; nothing while only one can be.

    Raises:
        KilowatchError: ``unknown_organisation``; ``ambiguous_stream`` when several organisations
            have a stream of that id and none is named.
    """
    with server.reading() as session:
        if name is not None:
            return {"organisation": registry.find_organisation(session, name).id}
        owners = select(Organisation.name).join(
            DataPoint, DataPoint.organisation_id == Organisation.id
        )
        names = list(session.scalars(owners.where(DataPoint.stream_id == stream)))
    if len(names) > 1:
        raise KilowatchError(
            "ambiguous_stream",
            f"Several organisations have a stream {stream!r}.",
            remedy=f"Name one with --organization: {', '.join(map(repr, sorted(names)))}.",
        )
    return {}


def chosen_environment(asked: str | None, server: Server) -> Environment:
    """Return the environment that was asked for, or else the server's.

    Raises:
        KilowatchError: ``invalid_setting`` when it is neither development nor production.
    """
    return server.environment if asked is None else one_of("environment", asked, ENVIRONMENTS)


def paper() -> Console:
    """Return a console that changes nothing that is printed, so that it can be pasted."""
    return Console(highlight=False, soft_wrap=True, emoji=False)


def show(table: Table) -> None:
    """Print a table; in a pipe or a file it is as wide as it needs."""
    console = Console(highlight=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, emoji=False, width=WIDE)
    console.print(table)
