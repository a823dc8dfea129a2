"""Which addresses are pages: found from the routes, so that a new page is walked by itself.

``scripts/screenshots.py`` takes pictures of them, ``test_every_page.py`` looks for barriers. A GET
door is a page when it answers a whole document to a browser; fragments and data are told apart by
what they answer. A new kind of object in a path gets its entry in ``access_world.py`` first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kilowatch.dashboard.access import Access, Door
from kilowatch.dashboard.app import DOORS
from tests.dashboard.access_world import ENDLESS, QUERIES

PAGE = {"accept": "text/html"}
PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")

FOR_MACHINES = frozenset({"/health", "/health/ready", "/metrics"})
"""What monitoring systems ask for; some of it needs a token."""

FACES: Mapping[str, tuple[str, ...]] = {
    "/breakdown/{point_id:number}": (
        "period=year",
        "period=month&phases=apart&compare=previous&worth=money",
        "period=month&view=table&grain=week",
    ),
    "/compare": ("grain=day",),
    "/attributes/{point_id:number}": ("requests=all",),
}
"""Further faces of a page that its bare address does not show, as queries."""


class Client(Protocol):
    """Whoever can ask for a page: Starlette's test client, or httpx."""

    def get(self, url: str, *, headers: Any = ..., follow_redirects: Any = ...) -> Any: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class WalkedPage:
    """A page to look at.

    Attributes:
        path: Of its door.
        address: With numbers filled in.
        name: For a file: letters, digits and hyphens.
        signed_in: Whether somebody who is logged in looks at it.
    """

    path: str
    address: str
    name: str
    signed_in: bool = True


def name_of(path: str, query: str = "") -> str:
    """Return a name for a page's pictures.

    Example:
        >>> name_of("/organization/{organisation_id:number}/rules/new")
        'organization-one-rules-new'
    """
    plain = PARAMETER.sub("one", path).strip("/") or "home"
    words = f"{plain} {query}" if query else plain
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def pages(
    client: Client,
    stranger: Client,
    address_of: Callable[[Door], str],
    *,
    of: Callable[[str], bool] = lambda _path: True,
) -> Iterator[WalkedPage]:
    """Yield every page, with its further faces.

    Args:
        client: Logged in as somebody for whom every door opens.
        stranger: Not logged in; opens what is open to anyone.
        address_of: Fills a door's numbers in.
        of: Which paths; all of them where nothing is said.

    Raises:
        AssertionError: A door answers neither a page, nor a part, nor leads to another door.
    """
    for door in DOORS:
        if "GET" not in door.methods or door.path in ENDLESS or door.path in FOR_MACHINES:
            continue
        if door.access is Access.OF_LINK or not of(door.path):
            continue  # for programs with a token; no session opens it
        address = address_of(door)
        open_to_all = door.access is Access.ANYONE
        asking = stranger if open_to_all else client
        answer = asking.get(address, headers=PAGE, follow_redirects=False)
        if answer.status_code in (204, 302, 303, 307):
            continue  # nothing to show, or it leads to a page that has a door of its own
        if open_to_all and answer.status_code == 401:
            continue  # for programs, which bring a token
        assert answer.status_code == 200, (
            f"{door.path} answers {answer.status_code} to {address}: if it has to be asked, "
            "add the question to QUERIES in access_world.py"
        )
        kind = answer.headers.get("content-type", "")
        if not kind.startswith("text/html") or "<!doctype html>" not in answer.text[:200].lower():
            continue
        yield WalkedPage(door.path, address, name_of(door.path), signed_in=not open_to_all)
        for query in FACES.get(door.path, ()):
            bare = address.partition("?")[0]
            yield WalkedPage(door.path, f"{bare}?{query}", name_of(door.path, query))


def address_with(numbers: Mapping[str, object]) -> Callable[[Door], str]:
    """Return what fills numbers into the path of a door, and its query where it needs one."""

    def address_of(door: Door) -> str:
        known = dict(numbers)
        if door.path.startswith(("/site/{number", "/organization/{number")):
            place = "site_id" if door.path.startswith("/site") else "organisation_id"
            known["number"] = known[place]

        def fill(match: re.Match[str]) -> str:
            assert match[1] in known, f"{door.path} names a {match[1]!r}: nobody has made one"
            return str(known[match[1]])

        query = QUERIES.get(door.path, "")
        return PARAMETER.sub(fill, door.path) + (f"?{query.format(**known)}" if query else "")

    return address_of
