"""The manual, as pages: the documentation travels with the program, so that help needs no internet.

``docs/`` is Markdown; what is for developers of the platform stays out.
"""

from __future__ import annotations

import posixpath
import re
from functools import cache
from pathlib import Path
from urllib.parse import quote

from markdown_it import MarkdownIt
from markdown_it.token import Token
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.dashboard.access import Access, Door, not_found
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t

PARTS = ("start", "use", "operate", "integrate", "reference")
"""Folders of the documentation that are for people who use and run the platform."""
NAME = re.compile(r"(?:start|use|operate|integrate|reference)/[a-z0-9-]+")
FIRST = "start/dashboard"


async def manual(request: Request) -> Response:
    """Show a page of the manual. Query: ``page``, such as ``use/insights``."""
    return await run_in_threadpool(_manual, request)


def _manual(request: Request) -> Response:
    name = request.query_params.get("page", FIRST)
    found = rendered(name) if NAME.fullmatch(name) else None
    if found is None:
        raise not_found()
    title, body = found
    context = {"page": "manual", "title": title, "body": body, "here": name, "parts": contents()}
    crumbs = [{"name": t("manual.title"), "href": "/manual"}, {"name": title}]
    return page(request, "manual.html", crumbs, context)


def folder() -> Path:
    """Return where the documentation is: in the wheel beside us, in a checkout at its root."""
    here = Path(__file__).parent
    inside = here / "docs"
    return inside if inside.is_dir() else here.parents[2] / "docs"


@cache
def contents() -> dict[str, list[tuple[str, str]]]:
    """Return names and titles of the pages, by part."""
    return {
        part: [
            (f"{part}/{path.stem}", _title(path.read_text(encoding="utf-8")))
            for path in sorted((folder() / part).glob("*.md"))
        ]
        for part in PARTS
    }


@cache
def rendered(name: str) -> tuple[str, str] | None:
    """Return title and HTML of a page; None where there is none. Raw HTML is shown as text."""
    path = folder() / f"{name}.md"
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = reader.parse(re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL))
    tokens = tokens[3:] if tokens and tokens[0].tag == "h1" else tokens
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", slug(tokens[at + 1].content))
        elif token.type == "inline":
            for child in token.children or []:
                _point_to_manual(child, name)
        elif token.type == "table_open":
            token.attrSet("class", "of-manual")
    return _title(text), reader.renderer.render(tokens, reader.options, {})


def slug(heading: str) -> str:
    """Return a heading's name in an address, as GitHub makes it.

    Example:
        >>> slug("Kept packets: `discarded` & co")
        'kept-packets-discarded--co'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _point_to_manual(token: Token, name: str) -> None:
    """Let a link between pages of the documentation lead to pages of the manual."""
    if token.type == "image":
        token.type, token.tag, token.content = "text", "", ""  # pictures stay outside the wheel
    href = str(token.attrs.get("href", ""))
    if token.type != "link_open" or not href or "://" in href:
        return
    path, _, heading = href.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
    target = target.removesuffix(".md")
    if NAME.fullmatch(target):
        token.attrSet("href", f"/manual?page={quote(target)}" + (f"#{heading}" if heading else ""))
    else:
        token.attrs.pop("href")  # for developers: the words stay, the link goes


def _title(text: str) -> str:
    found = re.search(r"^# (.+)$", text, re.MULTILINE)
    return found[1].replace("`", "") if found else ""


DOORS: tuple[Door, ...] = (Door("/manual", manual, Access.SIGNED_IN),)
