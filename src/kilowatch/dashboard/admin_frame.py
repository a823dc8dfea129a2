"""The frame of Administration: its sections, and what its forms have in common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog.rights import Action, Person, is_partner, may, may_anywhere
from kilowatch.catalog.tree import OrganisationNode, SiteNode
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.rooms import rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Section:
    """A part of Administration.

    Attributes:
        key: Of its text, ``section.<key>``, and of what it is for, ``section_about.<key>``.
        href: Its first page.
        icon: Drawn beside it.
        shown: Whether a person has business there.
    """

    key: str
    href: str
    icon: str
    shown: Callable[[Person], bool]


def _manages(who: Person) -> bool:
    return may_anywhere(who, "manage")


def _administers(who: Person) -> bool:
    return may_anywhere(who, "administer")


SECTIONS: tuple[Section, ...] = (
    Section("organizations", "/admin/organizations", "organization", _administers),
    Section("sites", "/admin/sites", "site", _manages),
    Section("data_points", "/admin/data-points", "meter", _manages),
    Section("credentials", "/admin/credentials", "key", _administers),
    Section("packages", "/admin/startup-packages", "package", is_partner),
)
"""In the order in which an estate grows; the Administration of people adds its own."""


def section_page(
    request: Request,
    section: str,
    template: str,
    crumbs: Sequence[dict[str, str]],
    context: dict[str, Any],
    *,
    current: str = "",
    status: int = 200,
) -> Response:
    """Render a page of Administration with its sections beside it.

    Args:
        request: A request behind a door that asked for a log-in.
        section: Key of the section that the page belongs to; empty for the first page.
        template: Extends ``admin_base.html``.
        crumbs: The way to this page below its section.
        context: What the page shows.
        current: Key of the node in the tree that is shown.
        status: HTTP status.
    """
    who = visit_of(request).person
    shown = [one for one in SECTIONS if one.shown(who)]
    way = [{"name": t("section.home"), "href": "/admin"}]
    way += [{"name": t(f"section.{s.key}"), "href": s.href} for s in shown if s.key == section]
    frame = {
        "page": "admin",
        "sections": shown,
        "section": section,
        "problems": defaultdict(str),
        "fields": {},
    }
    return page(
        request, template, [*way, *crumbs], {**frame, **context}, current=current, status=status
    )


def problems_of(error: KilowatchError) -> dict[str, str]:
    """Return the sentence beside the field it is about; under "" when it is about none.

    Raises:
        KilowatchError: The same, where a form is no answer: there is nothing here, or a fault.
    """
    if error.status in (403, 500, 503) or error.code == "not_found":
        raise error
    return defaultdict(
        str, {str(error.data.get("field", "")): f"{error.detail} {error.remedy}".strip()}
    )


def texts_of(form: FormData, names: Iterable[str]) -> dict[str, str]:
    """Return a form's fields as texts, so that it comes back as it was sent."""
    return {name: str(form.get(name, "")).strip() for name in names}


def organisations_for(request: Request, action: Action) -> list[OrganisationNode]:
    """Return the organisations in all of which a person may do something, by name."""
    rooms, who = rooms_of(request), visit_of(request).person
    return [o for o in rooms.registry.tree(who) if may(who, action, organisation_id=o.id)]


def sites_for(request: Request, action: Action) -> list[tuple[OrganisationNode, SiteNode]]:
    """Return the sites at which a person may do something, with their organisations."""
    rooms, who = rooms_of(request), visit_of(request).person
    return [
        (organisation, site)
        for organisation in rooms.registry.tree(who)
        for site in organisation.sites
        if may(who, action, organisation_id=organisation.id, site_id=site.id)
    ]


@dataclass(frozen=True, slots=True)
class Paged:
    """One page of a long table.

    Attributes:
        rows: What is on it.
        number: Which page, from 1.
        pages: How many there are.
        total: Rows on all of them.
        first: Number of the first row on it, from 1.
        path: Address of the table.
        query: What is asked for, without the page.
    """

    rows: list[Any]
    number: int
    pages: int
    total: int
    first: int
    path: str
    query: dict[str, str]

    def href(self, number: int) -> str:
        """Return the address of another page."""
        return self.with_query(page=str(number) if number > 1 else "")

    def with_query(self, **changes: str) -> str:
        """Return the address with another question, from its first page on."""
        asked = {**self.query, **changes}
        text = urlencode({name: word for name, word in asked.items() if word})
        return f"{self.path}?{text}" if text else self.path


def paged(
    request: Request, rows: Sequence[Any], query: dict[str, str], size: int = PAGE_ROWS
) -> Paged:
    """Cut the page that a request asks for out of all rows."""
    pages = max(1, -(-len(rows) // size))
    asked = whole_number(request.query_params.get("page", "1")) or 1
    number = min(asked, pages)
    first = (number - 1) * size
    return Paged(
        list(rows[first : first + size]), number, pages, len(rows), first + 1,
        request.url.path, query,
    )  # fmt: skip


def asked_of(request: Request, names: Iterable[str]) -> dict[str, str]:
    """Return what a table is asked for in its address, cut to a sensible length."""
    return {name: request.query_params.get(name, "").strip()[:100] for name in names}


def when_text(at_ms: int | None) -> str:
    """Return an instant as an administrator reads it, in UTC; empty for never."""
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
