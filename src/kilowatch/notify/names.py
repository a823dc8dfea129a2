"""What things are called, for the sentences that people get."""

from __future__ import annotations

from sqlalchemy import select

from kilowatch.catalog.database import Catalog
from kilowatch.catalog.tables import Credential, Organisation, Site
from kilowatch.model.zones import Zone


class Names:
    """Names of sites, organisations and gateways, read again when the catalogue changed.

    Args:
        catalog: The registry, open.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._sites: dict[int, tuple[str, str]] = {}
        self._organisations: dict[int, str] = {}
        self._gateways: dict[int, str] = {}

    def forget(self) -> None:
        """Read everything again when it is asked for next."""
        self._sites, self._organisations, self._gateways = {}, {}, {}

    def site(self, site_id: int) -> str:
        """Return a site's name."""
        return self._site(site_id)[0]

    def zone(self, site_id: int) -> Zone:
        """Return a site's time zone."""
        return Zone.of(self._site(site_id)[1])

    def organisation(self, organisation_id: int) -> str:
        """Return an organisation's name."""
        if organisation_id not in self._organisations:
            with self._catalog.reading() as session:
                found = session.get(Organisation, organisation_id)
            self._organisations[organisation_id] = found.name if found else ""
        return self._organisations[organisation_id]

    def gateway(self, credential_id: int) -> str:
        """Return what a credential is called, else its user name; empty when there is none."""
        if credential_id and credential_id not in self._gateways:
            with self._catalog.reading() as session:
                found = session.get(Credential, credential_id)
            self._gateways[credential_id] = (found.name or found.username) if found else ""
        return self._gateways.get(credential_id, "")

    def _site(self, site_id: int) -> tuple[str, str]:
        if not self._sites:
            with self._catalog.reading() as session:
                rows = session.execute(select(Site.id, Site.name, Site.zone))
                self._sites = {number: (name, zone) for number, name, zone in rows}
        return self._sites.get(site_id, ("", "UTC"))
