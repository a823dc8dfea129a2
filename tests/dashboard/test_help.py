"""Help: every page says what it is for, and the manual that it points to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from kilowatch.dashboard import manual
from kilowatch.dashboard.help import ANYWHERE, GROUPS, help_of

TEMPLATES = Path(manual.__file__).parent / "templates"
PAGE = {"accept": "text/html"}


def pages() -> list[str]:
    """Return the templates that are pages in the frame: they extend it, or a base that does."""
    inside, found = {"shell.html"}, set[str]()
    while inside:
        extends = re.compile(rf'{{% extends "(?:{"|".join(map(re.escape, inside))})"')
        new = {
            path.name
            for path in TEMPLATES.glob("*.html")
            if extends.search(path.read_text(encoding="utf-8"))
        }
        inside = new - found
        found |= new
    return sorted(name for name in found if not name.endswith("_base.html"))


def test_every_page_has_two_to_four_sentences_of_help() -> None:
    """A newcomer who opens any page finds what it is for behind its question mark."""
    assert len(pages()) > 60
    wrong = []
    for name in pages():
        found = help_of(name)
        sentences = re.findall(r"[.!?](?=\s|$)", found.text) if found else []
        if not 2 <= len(sentences) <= 4:
            wrong.append(f"help.{name.removesuffix('.html')}: {len(sentences)} sentences")
    assert not wrong, f"write them in words/en/help.json: {wrong}"


def test_every_chapter_that_help_points_to_is_in_the_manual() -> None:
    """The link below the sentences leads to the very heading, also after that has changed."""
    for chapter in (ANYWHERE, *(chapter for _, chapter in GROUPS)):
        name, _, heading = chapter.partition("#")
        found = manual.rendered(name)
        assert found is not None, chapter
        assert not heading or f'id="{heading}"' in found[1], chapter


def test_links_between_pages_of_the_manual_lead_to_pages_of_it(admin: TestClient) -> None:
    """The documentation is read in the platform: nothing in it leads into the void."""
    names = [name for chapters in manual.contents().values() for name, _ in chapters]
    found = [one for name in names if (one := manual.rendered(name)) is not None]
    assert len(found) == len(names)
    targets = {
        target for _, body in found for target in re.findall(r'href="/manual\?page=([\w/-]+)', body)
    }
    dead = [target for target in targets if manual.rendered(target) is None]
    assert not dead
    shown = admin.get("/manual?page=use/insights", headers=PAGE).text
    assert "<h2" in shown
    assert 'id="sentinel"' in shown


@pytest.mark.parametrize("name", ["decisions/0001-x", "../README", "use/nowhere", "use/%2e%2e", ""])
def test_there_is_nothing_else_behind_the_manual(admin: TestClient, name: str) -> None:
    """An address cannot be made to show another file of the machine."""
    assert admin.get("/manual", params={"page": name}, headers=PAGE).status_code == 404
