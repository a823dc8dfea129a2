"""Formulas on pages: who may name what, what is refused, and what a reader sees of inputs."""

from __future__ import annotations

import re

from starlette.testclient import TestClient

from kilowatch.catalog import people
from kilowatch.catalog.tables import DataPoint, User
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, World

NEW = "/admin/data-points/new-formula"


def sent(client: TestClient, world: World, **fields: str) -> dict[str, str]:
    """Return the fields of the form."""
    site = str(world.point("main").site_id)
    plain = {"name": "", "site": site, "formula": "", "interval": "", "utility": "", "point": ""}
    return plain | fields | {"csrf": form_token(client, "/account")}


def test_a_reader_sees_the_result_and_only_inputs_that_are_theirs(
    world: World, logged: Logged
) -> None:
    """A tenant who was given the formula sees its figures, and not the meters behind it."""
    admin = logged(ADMIN)
    form = sent(admin, world, name="Both", formula="[Main supply].energy + [HVAC].energy")
    answer = admin.post(NEW, data=form)
    assert answer.status_code == 303, answer.text
    number = int(re.findall(r"data-points/(\d+)/formula", answer.headers["location"])[0])
    shown = admin.get(f"/attributes/{number}").text
    assert "Computed from" in shown
    assert "HVAC" in shown
    assert admin.get(f"/admin/data-points/{number}").status_code == 303, "it has its own form"
    with world.catalog.change(world.catalog_actor()) as change:
        user = change.session.query(User).filter_by(email=END_USER).one()
        people.grant(change, user, change.session.get_one(DataPoint, number))
    quality = admin.get(f"/quality/{number}")
    assert "Gaps are listed and corrected at what it is made of" in quality.text
    tenant = logged(END_USER)
    theirs = tenant.get(f"/attributes/{number}").text.split("<main")[1]
    assert "that you may not see" in theirs
    assert "HVAC" not in theirs
    assert tenant.get(NEW).status_code in (403, 404)
    refused = admin.post(
        f"/admin/data-points/{number}/formula",
        data=sent(admin, world, name="Both", formula="[Both] * 2", point=str(number)),
    )
    assert refused.status_code == 422
    assert "computed from itself" in refused.text
    both = {"formula": "[Both] + [Nobody]"}
    preview = admin.post("/admin/formula/preview", data=sent(admin, world, **both)).text
    assert "<mark>[Nobody]</mark>" in preview


def test_another_organisation_can_neither_name_nor_see(world: World, logged: Logged) -> None:
    """Their names are not found, their site can't be chosen, their numbers are nobody's."""
    stranger = logged(STRANGER)
    number = world.point("main").id
    form = sent(stranger, world, formula=f"#{number}.energy * 2")
    for site in (form["site"], re.findall(r'<option value="(\d+)"', stranger.get(NEW).text)[0]):
        answer = stranger.post("/admin/formula/preview", data=form | {"site": site}).text
        assert "Choose the site" in answer or "There is no data point" in answer
        names = stranger.get(f"/admin/formula/names?site={site}&find=Main").text
        assert "Main supply" not in names


def test_two_people_who_edit_one_formula_are_told(world: World, logged: Logged) -> None:
    """Who saves second sees what the first one wrote, and decides; nothing is lost unseen."""
    admin = logged(ADMIN)
    first = sent(admin, world, name="Of two", formula="[Main supply].energy")
    answer = admin.post(NEW, data=first)
    page = answer.headers["location"].split("?")[0]

    def opened() -> str:
        (found,) = re.findall(r'name="seen" value="(\w+)"', admin.get(page).text)
        return str(found)

    mine = theirs = opened()
    wish = {"name": "Of two", "when": "always"}
    saved = sent(admin, world, **wish, formula="[HVAC].energy", seen=theirs)
    assert admin.post(page, data=saved).status_code == 303
    again = sent(admin, world, **wish, formula="[Main supply].energy * 2", seen=mine)
    told = admin.post(page, data=again)
    assert told.status_code == 422
    assert "it is now [HVAC].energy. Save again" in told.text
    assert "[Main supply].energy * 2" in told.text, "what was written is still there"
    (fresh,) = re.findall(r'name="seen" value="(\w+)"', told.text)
    assert admin.post(page, data=again | {"seen": fresh}).status_code == 303
    assert "[Main supply].energy * 2" in admin.get(page).text


def test_a_formula_changes_from_a_day_on_and_back(world: World, logged: Logged) -> None:
    """The editor says what holds when, the history of changes says it in names; undo takes back."""
    admin = logged(ADMIN)
    first, second = "[Main supply].energy + [HVAC].energy", "[Main supply].energy"
    answer = admin.post(NEW, data=sent(admin, world, name="Dated", formula=first))
    page = answer.headers["location"].split("?")[0]
    refused = admin.post(page, data=sent(admin, world, name="Dated", formula=second, when="from"))
    assert refused.status_code == 422
    assert "From when on does this hold?" in refused.text
    wish = {"name": "Dated", "formula": second, "when": "from", "from": "2026-03-01T00:00"}
    assert admin.post(page, data=sent(admin, world, **wish, comment="let")).status_code == 303
    shown = admin.get(page).text
    assert re.search(r'value="from" checked', shown), "the next change has a date, too"
    assert shown.count("data-period") == 2
    assert "“let”" in shown
    number = int(re.findall(r"data-points/(\d+)/formula", page)[0])
    attributes = admin.get(f"/attributes/{number}").text
    assert attributes.index("Since 2026-03-01 00:00") < attributes.index("Until 2026-03-01 00:00")
    renamed = {"name": "Dated", "formula": second, "when": "always"}
    assert admin.post(page, data=sent(admin, world, **renamed)).status_code == 303
    assert admin.get(page).text.count("data-period") == 2, "nothing else was said for all time"
    history = admin.get("/admin/history", follow_redirects=True).text
    assert "from 2026-03-01 00:00:00 UTC on: [Main supply].energy" in history
    (undo,) = re.findall(r'name="what" value="(formula-\d+)"', shown)
    token = form_token(admin, "/account")
    gone = admin.post(f"/admin/data-points/{number}/undo", data={"csrf": token, "what": undo})
    assert gone.status_code == 303
    assert gone.headers["location"].startswith(page)
    after = admin.get(page).text
    assert "data-period" not in after
    assert first in after.replace("&#43;", "+")
