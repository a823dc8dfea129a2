"""Whatever a form names, it reaches nothing that is somebody else's, and tells nothing of it.

``test_access.py`` asks every address; this asks every field. What another organisation has, and
what nobody has, are answered with the same words and leave the same rows behind: else numbers,
stream ids or addresses could be tried until one of them exists.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from typing import Any

import pytest
from starlette.datastructures import FormData

from kilowatch.dashboard.access import Access
from kilowatch.dashboard.app import DOORS
from tests.dashboard.access_form_world import NOBODY, FormMatrix, filled_in
from tests.dashboard.access_forms import CASES, PARTLY, PLAIN, PLAIN_AT, Case
from tests.dashboard.access_world import ENDLESS, QUERIES
from tests.dashboard.worlds import ADMIN, build

POSTS = {door.path: door for door in DOORS if "POST" in door.methods}


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FormMatrix]:
    """Build two organisations with one of everything, also of what only forms name."""
    folder = tmp_path_factory.mktemp("forms")
    made = build(folder, days=1)
    yield FormMatrix(made, folder)
    made.writer.close()
    made.log.close()
    made.catalog.close()


def filled(texts: Any, words: dict[str, Any]) -> dict[str, str]:
    """Return a form's fields with what is named filled in."""
    return {name: str(text).format(**words) for name, text in texts.items()}


MADE = re.compile(
    r"electricity-\w+|invitation#[\w-]+|name=\"csrf\" value=\"\w+\"|b(['\"]).*?(?<!\\)\1"
)
"""What is made by chance: stream ids, links, tokens and their digests."""


def plain(text: str, named: dict[str, str]) -> list[str]:
    """Return the lines of an answer without what was sent, what chance made, and numbers."""
    for one in named.values():
        if not one.isdigit():
            for way in (one, html.escape(one), one.casefold()):
                text = re.sub(rf"(?<!\w){re.escape(way)}(?!\w)", "?", text)
    return re.sub(r"\d+", "0", MADE.sub("", text)).splitlines()


def name_of(case: Case) -> str:
    """Return a case in few words."""
    return f"{case.path} {dict(case.naming)}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_form_that_names_ones_own_works(matrix: FormMatrix, case: Case) -> None:
    """Otherwise nobody would know whether the field was looked at."""
    words = matrix.words("ours")
    numbers = words | filled(case.also, words)
    sent = filled(case.fields, words) | filled(case.naming, words)
    answer = matrix.post("administrator", POSTS[case.path], sent, numbers)
    matrix.restore()
    assert answer.status_code == case.works, re.sub(r"<[^>]+>|\s+", " ", answer.text)[-1500:]


@pytest.mark.parametrize("who", ["administrator", *PARTLY])
def test_what_a_form_names_of_others_is_not_there(matrix: FormMatrix, who: str) -> None:
    """Not to be had, not changed, and not even to be told from what does not exist."""
    wrong = []
    theirs = matrix.words("ours" if who in PARTLY else "theirs")
    nobodys = matrix.words("nobody")
    secrets = matrix.theirs.secrets + (
        [s for s in matrix.ours.secrets if s != "Acme"] if who in PARTLY else []
    )
    for case in CASES:
        if who in PARTLY and "o{organisation_id}" in case.naming.values():
            continue  # a part of it is theirs
        own = matrix.words("ours") | matrix.own_place(who)
        numbers = own | filled(case.also, own)
        told = {}
        for whose, words in (("theirs", theirs), ("nobody's", nobodys)):
            named = filled(case.naming, words)
            before = matrix.everything()
            answer = matrix.post(who, POSTS[case.path], filled(case.fields, own) | named, numbers)
            after = matrix.everything()
            changed = {
                table: [re.sub(r"^\(\d+, ", "(", row) for row in rows if row not in before[table]]
                for table, rows in after.items()
                if rows != before[table]
            }
            where = f"{answer.status_code} {answer.headers.get('location', '')}\n"
            told[whose] = plain(f"{where}{answer.text}\n{said(changed)}", named | words_in(words))
            shown = answer.text + answer.headers.get("location", "")
            for value in named.values():
                shown = shown.replace(value, "").replace(html.escape(value), "")
            seen = [one for one in secrets if one in shown]
            if seen:
                wrong.append(f"{name_of(case)} shows {seen} ({answer.status_code})")
            if changed:
                matrix.restore()
        unique = who in PARTLY and "stream_id" in case.naming
        if told["theirs"] != told["nobody's"] and not unique:
            wrong.append(f"{name_of(case)} tells them apart: {difference(*told.values())}")
    assert not wrong, "\n".join(wrong)


def test_every_field_that_a_form_reads_has_a_decision(
    matrix: FormMatrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a field says what it names: a new one is found here, and tried above."""
    read: set[str] = set()
    for way in ("get", "getlist"):
        monkeypatch.setattr(FormData, way, noting(read, getattr(FormData, way)), raising=False)
    undecided = []
    for door in POSTS.values():
        own = matrix.words("ours") | matrix.ours.personal[ADMIN]
        of_door = [case for case in CASES if case.path == door.path]
        naming = {name for case in of_door for name in case.naming} | {"csrf"}
        for case in of_door or [Case(door.path)]:
            read.clear()
            sent = filled(case.fields, own) | filled(case.naming, own)
            matrix.post("administrator", door, sent, own | filled(case.also, own))
            new = read - naming - PLAIN - PLAIN_AT.get(door.path, frozenset())
            undecided += [f"{door.path}: {name}" for name in sorted(new)]
        matrix.restore()
    assert not undecided, "add a Case, or the word to PLAIN, for:\n" + "\n".join(undecided)


def noting(read: set[str], way: Callable[..., Any]) -> Callable[..., Any]:
    """Return a way to read a form that notes which fields are asked for."""

    def noted(form: FormData, name: str, *rest: Any) -> Any:
        read.add(name)
        return way(form, name, *rest)

    return noted


@pytest.mark.parametrize("who", ["administrator", *PARTLY])
def test_an_address_of_others_is_answered_like_one_of_nobody(matrix: FormMatrix, who: str) -> None:
    """Also where only the last number of an address is somebody else's."""
    wrong = []
    before = matrix.everything()
    own = matrix.words("ours") | matrix.ours.personal[ADMIN] | matrix.own_place(who)
    others = matrix.ours if who in PARTLY else matrix.theirs
    theirs = others.numbers | others.personal[ADMIN]
    for door in POSTS.values():
        kinds = re.findall(r"\{(\w+)(?::\w+)?\}", door.path)
        first = next((case for case in CASES if case.path == door.path), Case(door.path))
        sent = filled(first.fields, own) | filled(first.naming, own)
        for kind in kinds:
            if kind == "organisation_id" and who in PARTLY:
                continue  # a part of it is theirs
            told = []
            for number in (theirs[kind], NOBODY):
                answer = matrix.post(who, door, sent, own | {kind: number})
                told.append(plain(f"{answer.status_code}\n{answer.text}", {}))
                if answer.status_code not in (403, 404):
                    wrong.append(f"{door.path} with {kind} {number}: {answer.status_code}")
                    matrix.restore()
            if told[0] != told[1]:
                wrong.append(f"{door.path} tells {kind} apart: {difference(*told)}")
    assert matrix.everything() == before
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("who", ["administrator", *PARTLY])
def test_a_page_of_others_is_answered_like_one_of_nobody(matrix: FormMatrix, who: str) -> None:
    """What is only asked for tells no more: neither the address nor the question after it."""
    wrong = []
    own = matrix.words("ours") | matrix.ours.personal[ADMIN] | matrix.own_place(who)
    others = matrix.ours if who in PARTLY else matrix.theirs
    theirs = others.numbers | others.personal[ADMIN]
    client = matrix.client(who)
    for door in DOORS:
        if "GET" not in door.methods or door.path in ENDLESS:
            continue
        number = "site_id" if door.path.startswith("/site") else "organisation_id"
        asked = f"{door.path}?{QUERIES.get(door.path, '')}".replace("{number", f"{{{number}")
        for kind in set(re.findall(r"\{(\w+)(?::\w+)?\}", asked)):
            if kind == "organisation_id" and who in PARTLY:
                continue  # a part of it is theirs
            told = []
            for one in (theirs[kind], NOBODY):
                address = filled_in(asked, own | {kind: one})
                answer = client.get(address, headers={"accept": "text/html"})
                told.append(plain(f"{answer.status_code}\n{answer.text}", {}))
            if told[0] != told[1]:
                wrong.append(f"{asked} tells {kind} apart: {difference(*told)}")
    assert not wrong, "\n".join(wrong)


def test_who_may_only_read_changes_nothing(matrix: FormMatrix) -> None:
    """A viewer, somebody who is not logged in, and a form without its token or with another's."""
    tries: dict[str, tuple[str, dict[str, str]]] = {
        "a viewer": ("viewer", {}),
        "nobody": ("", {}),
        "without a token": ("administrator", {"csrf": ""}),
        "with another's token": ("administrator", {"csrf": matrix.token("manager")}),
    }
    before, wrong = matrix.everything(), []
    own = matrix.words("ours") | matrix.ours.personal[ADMIN]
    for tried, (who, more) in tries.items():
        for case in (*CASES, *(Case(path) for path in POSTS)):
            door = POSTS[case.path]
            if door.access in (Access.ANYONE, Access.SIGNED_IN):
                continue
            sent = filled(case.fields, own) | filled(case.naming, own) | more
            answer = matrix.post(who, door, sent, own | filled(case.also, own))
            to_log_in = answer.headers.get("location", "").startswith("/login")
            if answer.status_code not in (401, 403, 404) and not to_log_in:
                wrong.append(f"{name_of(case)} {tried}: {answer.status_code}")
    assert not wrong, "\n".join(wrong)
    assert matrix.everything() == before


def words_in(words: dict[str, Any]) -> dict[str, str]:
    """Return what is named by words rather than by numbers."""
    return {name: word for name, word in words.items() if isinstance(word, str)}


def said(changed: dict[str, list[str]]) -> str:
    """Return changed rows, each on a line."""
    return "\n".join(f"{table} {row}" for table, rows in changed.items() for row in sorted(rows))


def difference(one: list[str], other: list[str]) -> str:
    """Return the first lines in which two answers differ."""
    for left, right in zip_longest(one, other, fillvalue=""):
        if left != right:
            return f"{left.strip()[:300]!r}, not {right.strip()[:300]!r}"
    return ""
