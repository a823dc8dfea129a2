"""Admin's pages about people: roles, places, groups, plans, history, and who may use them."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from sqlalchemy import select

from kilowatch.catalog import people, point_settings
from kilowatch.catalog.tables import Credential, DataPoint, Grant, Membership, User
from kilowatch.catalog.tables_people import ApiToken, Group, Invitation, Plan
from kilowatch.catalog.tables_settings import PointSetting
from kilowatch.dashboard import groups_pages, history_pages, plans_pages, users
from kilowatch.dashboard.access import Access
from kilowatch.dashboard.app import DOORS
from tests.dashboard.house import PAGE, House, post
from tests.dashboard.worlds import ADMIN, END_USER, PASSWORD, STRANGER, VIEWER

HOME = "/organization/1"
PEOPLE = [
    door
    for module in (users, groups_pages, plans_pages, history_pages)
    for door in module.DOORS
    if door.path.startswith("/organization/{organisation_id:number}/") and door.tool == "admin"
]


def user_id(house: House, email: str) -> int:
    """Return a person's number."""
    with house.world.catalog.reading() as session:
        user = people.find_by_email(session, email)
        assert user is not None
        return user.id


def membership(house: House, email: str) -> Membership:
    """Return what a person is in Acme."""
    with house.world.catalog.reading() as session:
        found = session.scalar(
            select(Membership).where(
                Membership.user_id == user_id(house, email), Membership.organisation_id == 1
            )
        )
        assert found is not None
        return found


def set_role(house: House, email: str, role: str, where: str = "whole", plan: str = "") -> Any:
    """Change a role as an administrator does."""
    page = f"{HOME}/users/{user_id(house, email)}"
    return post(house.log_in(), page, f"{page}/role", role=role, where=where, plan=plan)


def test_there_are_such_doors() -> None:
    """The tests below would say nothing about an empty list."""
    assert len(PEOPLE) > 15
    assert all(door.access is Access.ADMINISTER_ORGANISATION for door in PEOPLE)


@pytest.mark.parametrize("who", [VIEWER, END_USER, STRANGER])
@pytest.mark.parametrize("door", PEOPLE, ids=lambda d: f"{d.methods[0]} {d.path[37:]}")
def test_only_administrators_pass(house: House, who: str, door: Any) -> None:
    """A viewer is told no; the administrator of another company finds nothing there."""
    client = house.log_in(who)
    path = door.path.replace("{organisation_id:number}", "1")
    path = re.sub(r"\{\w+:number\}", "1", path)
    answer = client.request(door.methods[0], path, headers=PAGE)
    # An end user sees no whole organisation, so for them there is none, either.
    assert answer.status_code == (403 if who == VIEWER else 404)
    assert "Acme" not in answer.text or who == VIEWER


def test_objects_of_another_organisation_are_not_there(house: House) -> None:
    """The stranger's own person, group, plan and entry, addressed through Acme: 404."""
    stranger = user_id(house, STRANGER)
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        theirs = Group(organisation_id=2, name="Werker", created_at_ms=1)
        change.session.add(theirs)
        change.session.flush()
        plan = change.session.scalars(select(Plan).where(Plan.organisation_id == 2)).first()
        assert plan is not None
        waiting = Invitation(
            organisation_id=2, email="x@y.ie", role="viewer", whole_organisation=True,
            token_digest=b"x", created_at_ms=1, expires_at_ms=2**52,
        )  # fmt: skip
        change.session.add(waiting)
        change.session.flush()
        numbers = (theirs.id, plan.id, waiting.id)
    admin = house.log_in()
    for page in (f"{HOME}/users/{stranger}", f"{HOME}/groups/{numbers[0]}"):
        assert admin.get(page, headers=PAGE).status_code == 404
    for path, fields in (
        (f"{HOME}/users/{stranger}/role", {"role": "viewer", "where": "whole"}),
        (f"{HOME}/users/{stranger}/account", {"do": "disable"}),
        (f"{HOME}/users/{stranger}/remove", {}),
        (f"{HOME}/groups/{numbers[0]}", {"do": "delete"}),
        (f"{HOME}/plans/{numbers[1]}", {"name": "Mine", "tool": "import"}),
        (f"{HOME}/invitations/{numbers[2]}/withdraw", {}),
        (f"{HOME}/history/999999/undo", {}),
    ):
        assert post(admin, f"{HOME}/users", path, **fields).status_code == 404, path
    with house.world.catalog.reading() as session:
        assert session.get(Group, numbers[0])
        assert session.get(User, stranger).disabled_at_ms is None  # type: ignore[union-attr]


def test_a_role_changes_at_once_in_every_open_browser(house: House) -> None:
    """A right that is taken is gone with the next click."""
    viewer = house.log_in(VIEWER)
    number = house.world.point("main").id
    assert viewer.get(f"/data/series.csv?point={number}").status_code == 403
    assert set_role(house, VIEWER, "analyst").status_code == 303
    assert viewer.get(f"/data/series.csv?point={number}").status_code == 200
    set_role(house, VIEWER, "viewer", "part")
    assert viewer.get(f"/breakdown/{number}", headers=PAGE).status_code == 404


def test_the_last_administrator_can_do_themselves_no_harm(house: House) -> None:
    """The page says why, and nothing has changed."""
    me = user_id(house, ADMIN)
    page = f"{HOME}/users/{me}"
    for path, fields in (
        ("role", {"role": "viewer", "where": "whole", "plan": ""}),
        ("remove", {}),
        ("account", {"do": "disable"}),
    ):
        answer = post(house.log_in(), page, f"{page}/{path}", **fields)
        assert answer.status_code == 422
        assert "nobody would administer" in answer.text
    assert membership(house, ADMIN).role == "administrator"
    assert house.log_in()


def test_places_are_given_and_taken(house: House) -> None:
    """Sites by a tick, single data points by their stream ids; a misspelt one is named."""
    tenant = house.log_in(END_USER)
    main = house.world.point("main")
    page = f"{HOME}/users/{user_id(house, END_USER)}"
    admin = house.log_in()
    assert tenant.get(f"/breakdown/{main.id}", headers=PAGE).status_code == 404
    wrong = post(admin, page, f"{page}/places", streams="acme-mian")
    assert wrong.status_code == 422
    assert "acme-mian" in wrong.text
    assert post(admin, page, f"{page}/places", streams="werk-presse").status_code == 422
    assert post(admin, page, f"{page}/places", site="3").status_code == 422
    assert post(admin, page, f"{page}/places", streams=" acme-main acme-gas ").status_code == 303
    assert tenant.get(f"/breakdown/{main.id}", headers=PAGE).status_code == 200
    with house.world.catalog.reading() as session:
        given = session.scalar(select(Grant.id).where(Grant.data_point_id == main.id))
    post(admin, page, f"{page}/places/remove", grant=str(given))
    assert tenant.get(f"/breakdown/{main.id}", headers=PAGE).status_code == 404


def test_a_group_is_made_filled_and_emptied_from_its_page(house: House) -> None:
    """Membership opens its places on every page; leaving closes them."""
    admin, tenant = house.log_in(), house.log_in(END_USER)
    main = house.world.point("main").id
    made = post(admin, f"{HOME}/groups", f"{HOME}/groups", name="Office people")
    page = made.headers["location"].partition("?")[0]
    office = str(house.world.sites["Office Dublin"])
    post(admin, page, page, do="open", site=office)
    post(admin, page, page, do="join", user=str(user_id(house, END_USER)))
    assert tenant.get(f"/breakdown/{main}", headers=PAGE).status_code == 200
    assert (
        "Office people" in admin.get(f"{HOME}/users/{user_id(house, END_USER)}", headers=PAGE).text
    )
    stranger = post(admin, page, page, do="join", user=str(user_id(house, STRANGER)))
    assert stranger.status_code == 422
    post(admin, page, page, do="rename", name="Office staff")
    assert "Office staff" in admin.get(page, headers=PAGE).text
    post(admin, page, page, do="leave", user=str(user_id(house, END_USER)))
    assert tenant.get(f"/breakdown/{main}", headers=PAGE).status_code == 404
    assert post(admin, page, page, do="delete").status_code == 303
    assert admin.get(page, headers=PAGE).status_code == 404


def test_a_plan_hides_a_tool_and_shuts_its_door(house: House) -> None:
    """No menu entry, no link, and a plain sentence at the address itself."""
    admin, viewer = house.log_in(), house.log_in(VIEWER)
    main = house.world.point("main").id
    tools = ["attributes", "import"]
    post(admin, f"{HOME}/plans", f"{HOME}/plans", name="Integrator", tool=tools)
    with house.world.catalog.reading() as session:
        plan = session.scalar(select(Plan.id).where(Plan.name == "Integrator"))
    set_role(house, VIEWER, "analyst", plan=str(plan))
    shut = viewer.get(f"/breakdown/{main}", headers=PAGE)
    assert shut.status_code == 403
    assert "Your plan does not include this page" in shut.text
    assert viewer.get(f"/data/series?point={main}").status_code == 403
    assert viewer.get(f"/data/series.csv?point={main}").status_code == 403
    page = viewer.get(f"/attributes/{main}", headers=PAGE)
    assert page.status_code == 200
    assert "/breakdown/" not in page.text
    assert f"/attributes/{main}" in viewer.get("/tree").text
    assert "/breakdown/" not in viewer.get("/tree").text
    assert "/breakdown/" not in viewer.get("/organization/1", headers=PAGE).text
    post(admin, f"{HOME}/plans", f"{HOME}/plans/{plan}", name="Integrator", tool=["breakdown"])
    assert viewer.get(f"/breakdown/{main}", headers=PAGE).status_code == 200
    assert viewer.get(f"/data/series.csv?point={main}").status_code == 403, "export is its own tool"
    assert viewer.get(f"/attributes/{main}", headers=PAGE).status_code == 403


def test_a_plan_without_admin_shuts_administrators_out_of_its_pages(house: House) -> None:
    """The menu has none of them; who is left administers."""
    with house.world.catalog.reading() as session:
        plan = session.scalar(
            select(Plan.id).where(Plan.organisation_id == 1, Plan.name == "Standard")
        )
    set_role(house, VIEWER, "administrator", plan=str(plan))
    second = house.log_in(VIEWER)
    assert second.get(f"{HOME}/users", headers=PAGE).status_code == 403
    assert second.get("/admin/users", headers=PAGE).status_code == 403
    assert second.get("/admin/data-points", headers=PAGE).status_code == 403
    assert "/admin/" not in second.get("/account", headers=PAGE).text
    answer = set_role(house, ADMIN, "administrator", plan=str(plan))
    assert "nobody would administer" in answer.text


def test_a_plan_in_use_stays_and_an_unknown_tool_is_refused(house: House) -> None:
    """The sentence stands on the page."""
    admin = house.log_in()
    with house.world.catalog.reading() as session:
        plan = session.scalar(
            select(Plan.id).where(Plan.organisation_id == 1, Plan.name == "Data import")
        )
    set_role(house, VIEWER, "viewer", plan=str(plan))
    answer = post(admin, f"{HOME}/plans", f"{HOME}/plans/{plan}", name="x", do="delete")
    assert answer.status_code == 422
    assert "Somebody has the plan" in answer.text
    odd = post(admin, f"{HOME}/plans", f"{HOME}/plans", name="y", tool="everything")
    assert odd.status_code == 422
    same = post(admin, f"{HOME}/plans", f"{HOME}/plans", name="full", tool="export")
    assert "already" in same.text


def test_every_tool_of_a_door_has_words(house: House) -> None:
    """A tool that a page names can be ticked in a plan."""
    page = house.log_in().get(f"{HOME}/plans", headers=PAGE).text
    for door in DOORS:
        if door.tool:
            assert f'value="{door.tool}"' in page


def test_closing_an_account_ends_its_sessions_and_can_be_undone(house: House) -> None:
    """From the person's page; the person is out at once."""
    tenant = house.log_in(END_USER)
    page = f"{HOME}/users/{user_id(house, END_USER)}"
    admin = house.log_in()
    assert post(admin, page, f"{page}/account", do="disable").status_code == 303
    assert tenant.get("/tree").status_code == 401
    assert "account closed" in admin.get(f"{HOME}/users", headers=PAGE).text
    post(admin, page, f"{page}/account", do="enable")
    assert house.log_in(END_USER)


def test_removing_somebody_leaves_them_their_account(house: House) -> None:
    """Out of Acme, with what was given there; the account and its log-in stay."""
    admin = house.log_in()
    page = f"{HOME}/users/{user_id(house, END_USER)}"
    assert post(admin, page, f"{page}/remove").status_code == 303
    tenant = house.log_in(END_USER)
    assert "Nothing is shared with you" in tenant.get("/", headers=PAGE).text
    assert admin.get(page, headers=PAGE).status_code == 404


def test_a_partner_administrator_sees_several_organisations(house: House) -> None:
    """They switch between them; an administrator of one sees no other's name."""
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        from kilowatch.catalog.tables import Organisation  # noqa: PLC0415 - only here

        user = people.find_by_email(change.session, VIEWER)
        for number in (1, 2):
            organisation = change.session.get(Organisation, number)
            assert user is not None
            assert organisation is not None
            people.set_role(change, user, organisation, "partner administrator")
    partner = house.log_in(VIEWER)
    page = partner.get("/organization/2/users", headers=PAGE)
    assert STRANGER in page.text
    assert "/organization/1/users" in page.text
    assert "Elsewhere" not in house.log_in().get(f"{HOME}/users", headers=PAGE).text


def test_the_history_reads_like_sentences_and_is_undone_from_its_page(house: House) -> None:
    """Who changed what from what to what; one click takes it back, and says so."""
    set_role(house, VIEWER, "analyst")
    admin = house.log_in()
    page = admin.get(f"{HOME}/history", headers=PAGE).text
    assert "changed the role of V. Iewer from viewer to analyst" in page
    assert "gave T. Enant access to Supermarket Cork" in page
    assert "added the site Office Dublin" in page
    found = re.search(rf'action="({HOME}/history/\d+/undo)"', page)
    assert found
    assert post(admin, f"{HOME}/history", found[1]).status_code == 303
    assert membership(house, VIEWER).role == "viewer"
    page = admin.get(f"{HOME}/history", headers=PAGE).text
    assert f"Undone by {ADMIN}" in page
    assert "changed the role of V. Iewer from analyst to viewer" in page
    again = post(admin, f"{HOME}/history", found[1])
    assert again.status_code == 409
    assert "taken back" in again.text


def test_what_was_done_to_a_data_point_names_it(house: House) -> None:
    """Dismissed what? An entry without words of its own still says what it is about."""
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        point = house.world.point("main")
        said: list[tuple[str, int | None, dict[str, Any]]] = [
            ("dismissed", point.id, {"packets": 3}),
            ("dismissed", point.id, {"kept": [4, 5]}),
            ("backfilled", point.id, {"packets": 2, "reason": "the gateway was away"}),
            ("decided for the offered values", point.id, {"packets": 1, "reason": ""}),
            ("imported", point.id, {"file": "h.csv", "packets": 5, "reason": "from paper"}),
            ("applied a table", None, {"file": "all.csv", "create": 2, "change": 1, "same": 7}),
        ]
        for action, number, figures in said:
            change.record(action, "data_point", number, 1, **figures)
        point_settings.change_from(
            change,
            change.session.get_one(DataPoint, point.id),
            {"ct_ratio": 40.0},
            1_700_000_000_000,
        )
    page = house.log_in().get(f"{HOME}/history", headers=PAGE).text
    for sentence in (
        "dismissed 3 kept packets of Main supply",
        "dismissed 2 kept packets of Main supply",
        "put 2 kept packets into the history of Main supply: the gateway was away",
        "decided for the offered values of Main supply, 1 times",
        "brought 5 packets of the file h.csv into the history of Main supply: from paper",
        "applied the table all.csv: 2 data points added, 1 changed, 7 as they were",
        "set for Main supply from 2023-11-14 22:13:20 UTC on: Current transformers (CT ratio) 40",
    ):
        assert sentence in page, sentence
    for why in ("in_history", "deleted", "line_by_line"):
        assert f'data-why="{why}"' in page
    assert "history.why" not in page
    assert "Correct it under Data quality" in page


def test_a_setting_that_holds_is_not_called_gone(house: House) -> None:
    """A dated setting has no name of its own: it is told by its data point."""
    point = house.world.point("main")
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        row = PointSetting(data_point_id=point.id, organisation_id=1, fields={}, created_at_ms=1)
        change.session.add(row)
    page = house.log_in().get(f"{HOME}/history", headers=PAGE).text
    assert "set for Main supply, until the first date: nothing" in page
    assert "which is gone" not in page


def test_an_interval_is_undone_in_its_own_words(house: House) -> None:
    """An interval is told in minutes, as people say it, not in seconds."""
    with house.world.catalog.change(house.world.catalog_actor()) as change:
        point = change.session.get(DataPoint, house.world.point("main").id)
        assert point is not None
        point.interval_s = 900
    page = house.log_in().get(f"{HOME}/history", headers=PAGE).text
    assert "changed the interval of Main supply from 5 min to 15 min" in page


def test_the_history_filters_and_pages(house: House) -> None:
    """By person, subject and day; odd filters find everything or nothing, never a fault."""
    admin = house.log_in()
    me = user_id(house, ADMIN)
    mine = admin.get(f"{HOME}/history?person={me}", headers=PAGE).text
    assert "logged in" in mine
    assert "added the site" not in mine
    sites = admin.get(f"{HOME}/history?subject=site", headers=PAGE).text
    assert "added the site Office Dublin" in sites
    assert "logged in" not in sites
    none = admin.get(f"{HOME}/history?until=2020-01-01", headers=PAGE).text
    assert "Nothing was changed" in none
    for odd in (
        "person=²",
        "from=yesterday",
        "until=9999-12-31",
        "before=" + "9" * 30,
        "subject=%00",
    ):
        assert admin.get(f"{HOME}/history?{odd}", headers=PAGE).status_code == 200, odd
    page = admin.get(f"{HOME}/history", headers=PAGE).text
    older = re.search(r'href="([^"]+before=\d+)"', page)
    if older:
        assert admin.get(older[1].replace("&amp;", "&"), headers=PAGE).status_code == 200


def test_the_history_shows_no_secret(house: House) -> None:
    """A password that was changed is "replaced", a token never there."""
    from tests.dashboard.test_account import change_password  # noqa: PLC0415 - its helper

    change_password(house.log_in())
    page = house.log_in(password="quite another password").get(f"{HOME}/history", headers=PAGE).text
    assert "replaced the password of" in page
    assert "argon2" not in page
    assert "quite another password" not in page


def test_the_history_is_a_file_without_secrets(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every entry once, in the page's sentences; no password, token, secret or digest of one."""
    from tests.dashboard.test_account import change_password  # noqa: PLC0415 - its helper

    set_role(house, VIEWER, "analyst")
    change_password(house.log_in())
    admin = house.log_in(password="quite another password")
    made = {"name": "For a report", "access": "read", "days": "30",
            "current_password": "quite another password"}  # fmt: skip
    shown = post(admin, "/account/tokens", "/account/tokens", **made).text
    token = re.search(r"kwt_[\w-]+", shown)
    assert token
    assert f'href="{HOME}/history.csv?' in admin.get(f"{HOME}/history", headers=PAGE).text
    monkeypatch.setattr(history_pages, "READ_TOGETHER", 7)
    answer = admin.get(f"{HOME}/history.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len({row["entry"] for row in rows}) == len(rows) > 14, "pages join without doubles"
    said = [row["what"] for row in rows]
    assert "changed the role of V. Iewer from viewer to analyst" in said
    with house.world.catalog.reading() as session:
        hashes = [row.password_hash for row in session.scalars(select(User))]
        digests = [row.token_digest for row in session.scalars(select(ApiToken))]
        digests += [row.secret_digest for row in session.scalars(select(Credential))]
    secrets = [token[0], "quite another password", PASSWORD, *hashes]
    for secret in (*secrets, *(d if isinstance(d, str) else d.hex() for d in digests)):
        assert secret not in answer.text
    only = admin.get(f"{HOME}/history.csv?subject=site&person=0").text
    assert "logged in" not in only
    monkeypatch.setattr(history_pages, "FILE_ENTRIES_MAX", 10)
    much = admin.get(f"{HOME}/history.csv")
    assert much.status_code == 422
    assert "Choose dates" in much.text


def test_an_administrator_takes_a_lost_second_factor_away(house: House) -> None:
    """Phone and codes are gone: a colleague who may can help, and it is in the history."""
    from tests.dashboard.test_account import set_up_factor  # noqa: PLC0415 - its helper

    viewer = house.log_in(VIEWER)
    set_up_factor(house, viewer)
    page = f"{HOME}/users/{user_id(house, VIEWER)}"
    admin = house.log_in()
    assert "lost second factor" in admin.get(page, headers=PAGE).text
    post(admin, page, f"{page}/account", do="factor")
    assert viewer.get("/tree").status_code == 401
    assert house.log_in(VIEWER)
    assert (
        "removed the second factor of V. Iewer" in admin.get(f"{HOME}/history", headers=PAGE).text
    )


def test_an_administrator_sends_a_link_but_chooses_no_password(house: House) -> None:
    """The link goes to the person's mailbox and stands on no page; a broken mail server is said."""
    page = f"{HOME}/users/{user_id(house, VIEWER)}"
    admin = house.log_in()
    answer = post(admin, page, f"{page}/password-link")
    assert answer.status_code == 303
    path, token = house.mailbox.link(VIEWER)
    assert token not in admin.get(page, headers=PAGE).text
    chosen = post(house.browser(), path, path, token=token, password="quite another password")
    assert chosen.status_code == 303
    assert house.log_in(VIEWER, "quite another password")
    house.mailbox.broken = True
    failed = post(admin, page, f"{page}/password-link")
    assert "The mail server is away" in failed.text
    assert "sent V. Iewer a link" in admin.get(f"{HOME}/history", headers=PAGE).text
