"""Alerts as people see them, and the forms with which they say when to be told."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from html import unescape

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from kilowatch.catalog import Actor, people
from kilowatch.catalog import alerts as catalogue
from kilowatch.catalog.tables import AuditEntry, DataPoint, User
from kilowatch.catalog.tables_alerts import AlertRule
from kilowatch.model.silences import Silence
from kilowatch.notify.needs import Tiding
from kilowatch.notify.rules import Terms, terms_of
from kilowatch.notify.service import Notifier
from tests.dashboard.conftest import Logged, form_token
from tests.dashboard.house import House, post
from tests.dashboard.insight_world import furnish
from tests.dashboard.worlds import ADMIN, END_USER, STRANGER, VIEWER, World
from tests.notify.receivers import Hook, webhook
from tests.notify.worlds import FakeFeed

PAGE = {"accept": "text/html"}


@pytest.fixture
def hook() -> Iterator[Hook]:
    """Run a webhook receiver."""
    with webhook() as running:
        yield running


def home(world: World, what: str) -> str:
    """Return the address of the organisation's rules or channels."""
    return f"/organization/{world.point('main').organisation_id}/{what}"


def rows_of(client: TestClient, path: str) -> list[dict[str, str]]:
    """Return a file's rows by the titles of their columns."""
    answer = client.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8", answer.text
    return list(csv.DictReader(io.StringIO(answer.text)))


def token(client: TestClient) -> str:
    """Return a form's token."""
    return form_token(client, "/admin/data-points/new")


def add_channel(client: TestClient, world: World, **form: str) -> int:
    """Add a channel through its form."""
    sent = {"csrf": token(client), "service": "email", **form}
    answer = client.post(home(world, "channels"), data=sent)
    assert answer.status_code == 303, answer.text
    return int(answer.headers["location"].rpartition("=")[2])


def rule_form(client: TestClient, **changes: str | list[str]) -> dict[str, str | list[str]]:
    """Return the form of a rule filled in well, then changed."""
    return {
        "csrf": token(client), "name": "Supply is silent", "kind": "offline",
        "watched": "organisation", "days": list("0123456"), "consecutive": "1", "recovery": "on",
        **changes,
    }  # fmt: skip


def add_rule(client: TestClient, world: World, **changes: str | list[str]) -> AlertRule:
    """Add a rule through its form and return it."""
    answer = client.post(home(world, "rules"), data=rule_form(client, **changes), headers=PAGE)
    assert answer.status_code == 303, re.findall(r'class="problem"[^>]*>([^<]*)', answer.text)
    with world.catalog.reading() as session:
        return max(catalogue.rules(session), key=lambda row: row.id)


def go_silent(world: World, *names: str) -> None:
    """Let data points fall silent and the alert be told."""
    feed, notifier = world.extra["feed"], world.extra["notifier"]
    assert isinstance(feed, FakeFeed)
    assert isinstance(notifier, Notifier)
    for name in names:
        point = world.point(name)
        last_ms = world.now[0] - point.gap_ms
        feed.find(
            Silence(
                point.series, point.id, point.organisation_id, point.site_id,
                world.credential.id, last_ms, world.now[0], world.now[0],
            )
        )  # fmt: skip
    for _ in range(5):
        notifier.engine.run_once()
        world.now[0] += 1_000


def test_without_a_rule_the_page_says_so_and_one_click_adds_the_usual_one(
    world: World, admin: TestClient
) -> None:
    """Silence is no all-clear where nobody looks; the usual rule is in force and in History."""
    with world.catalog.reading() as session:
        assert not catalogue.rules(session), "the first test of this module"
    page = admin.get("/notifications", headers=PAGE).text
    assert "No rule looks for anything yet" in page
    assert "Nothing is wrong" not in page
    path = home(world, "rules") + "/usual"
    assert f'action="{path}"' in page
    for _ in range(2):  # a click too many adds no second one
        assert admin.post(path, data={"csrf": token(admin)}).status_code == 303
    with world.catalog.reading() as session:
        (rule,) = catalogue.rules(session)
        assert (rule.kind, rule.site_id, rule.data_point_id) == ("sentinel", None, None)
        assert not catalogue.uses(session, rule.id), "on the bell alone"
        assert terms_of(rule) == Terms()
        done = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
    assert done is not None
    assert (done.action, done.subject, done.subject_id) == ("created", "alert_rule", rule.id)
    assert (
        "Nothing is wrong that a rule looks for" in admin.get("/notifications", headers=PAGE).text
    )
    with world.catalog.change(Actor("test")) as change:
        catalogue.remove_rule(change, catalogue.rules(change.session)[0])


def test_an_alert_is_on_the_page_and_on_the_bell_until_somebody_takes_care(
    world: World, admin: TestClient
) -> None:
    """One sentence with time and gateway; acknowledging it silences the bell, not the page."""
    add_rule(admin, world, watched=f"site:{world.sites['Office Dublin']}")
    go_silent(world, "main")
    page = admin.get("/notifications", headers=PAGE).text
    assert "No data from Main supply for 7 min. The last packet came at 14:14 from gateway A." in (
        page
    )
    assert "Office Dublin, Acme · Rule: " in page, "three sites have a main supply"
    assert 'data-bell="1"' in admin.get("/notifications", headers=PAGE).text
    address = re.search(r'action="(/breakdown/\d+/alerts/\d+/acknowledge)"', page)
    assert address
    answer = admin.post(address[1], data={"csrf": token(admin)})
    assert answer.status_code == 303
    page = admin.get("/notifications", headers=PAGE).text
    assert "A. Lee takes care since" in page
    assert 'data-bell="0"' in page
    assert "No data from Main supply" in page


def test_people_see_the_alerts_of_what_they_may_read(world: World, logged: Logged) -> None:
    """A tenant of the shop sees its silence and not the office's; a stranger sees neither."""
    admin = logged(ADMIN)
    add_rule(admin, world, name="Everything")
    go_silent(world, "chiller", "hvac")
    assert "2 data points" in admin.get("/notifications", headers=PAGE).text
    tenant = logged(END_USER).get("/notifications", headers=PAGE).text
    assert "No data from Refrigeration" in tenant
    assert "HVAC" not in tenant
    assert "acknowledge" not in tenant, "an end user reads"
    stranger = logged(STRANGER).get("/notifications", headers=PAGE).text
    assert "Refrigeration" not in stranger
    assert 'data-bell="0"' in stranger
    viewer = logged(VIEWER)
    assert "Refrigeration" in viewer.get("/notifications", headers=PAGE).text
    for what in ("rules", "channels", "rules/new", "channels/new"):
        assert viewer.get(home(world, what), headers=PAGE).status_code == 403
        assert logged(STRANGER).get(home(world, what), headers=PAGE).status_code == 404
    assert viewer.get("/notifications/history", headers=PAGE).status_code == 403


def test_nobody_acknowledges_what_is_not_theirs(world: World, logged: Logged) -> None:
    """Neither a viewer, nor a stranger, nor by another data point's address."""
    admin, stranger, viewer = logged(ADMIN), logged(STRANGER), logged(VIEWER)
    add_rule(admin, world, name="Gas", watched="point", point="acme-gas")
    go_silent(world, "gas")
    page = admin.get("/notifications", headers=PAGE).text
    address = re.search(rf"/breakdown/{world.point('gas').id}/alerts/(\d+)/acknowledge", page)
    assert address
    elsewhere = f"/breakdown/{world.point('water').id}/alerts/{address[1]}/acknowledge"
    assert stranger.post(address[0], data={"csrf": token(stranger)}).status_code == 404
    shown = form_token(viewer, "/notifications")
    assert viewer.post(address[0], data={"csrf": shown}).status_code == 403
    assert admin.post(elsewhere, data={"csrf": token(admin)}).status_code == 404
    assert admin.post(address[0], data={"csrf": token(admin)}).status_code == 303


def test_a_rule_comes_back_in_its_form_as_it_was_written(world: World, admin: TestClient) -> None:
    """Limit with its unit, hours, quiet hours, channels: nothing is lost or rounded."""
    first = add_channel(admin, world, name="First", to="first@acme.example")
    second = add_channel(admin, world, name="Second", to="second@acme.example")
    row = add_rule(
        admin, world, name="Night load", kind="threshold", watched="point", point="acme-main",
        quantity="aP", direction="above", limit="12.3456 kW", consecutive="3", cooldown="45m",
        days=["0", "4"], from_time="22:00", to_time="06:00", quiet_from="23:00",
        quiet_to="05:30", remind="4h", escalate="30m", channels=[str(first)],
        escalation=[str(second)],
    )  # fmt: skip
    terms = terms_of(row)
    assert terms is not None
    assert (round(terms.limit, 9), terms.unit, terms.consecutive) == (12_345.6, "W", 3)
    assert (terms.days, terms.from_min, terms.to_min) == ((0, 4), 1320, 360)
    assert (terms.remind_min, terms.escalate_min, terms.cooldown_min) == (240, 30, 45)
    page = admin.get(f"{home(world, 'rules')}/{row.id}", headers=PAGE).text
    for text in (
        "12.3456 kW",
        "22:00",
        "05:30",
        'value="4 h"',
        "acme-main",
        'value="30 min"',
        'value="45 min"',
    ):
        assert text in page, text
    assert page.count("checked") == 2 + 2 + 1
    listed = admin.get(home(world, "rules"), headers=PAGE).text
    assert "Active power above 12.3456 kW, readings in a row: 3." in listed
    assert "To First, and on this page." in listed
    assert "then Second" in listed


def test_a_sum_of_money_is_a_rule_too(world: World, admin: TestClient) -> None:
    """With the rule's own price, which every message names."""
    row = add_rule(
        admin, world, name="Budget", kind="cumulated", sum_of="pC", period="month",
        measure="money", sum_limit="1500", price="0,285", currency="€",
    )  # fmt: skip
    terms = terms_of(row)
    assert terms is not None
    assert (terms.limit, terms.price_per_kwh, terms.currency) == (1500.0, 0.285, "€")
    page = admin.get(f"{home(world, 'rules')}/{row.id}", headers=PAGE).text
    assert 'value="0.285"' in page


@pytest.mark.parametrize(
    ("field", "changes", "says"),
    [
        ("name", {"name": ""}, "is missing"),
        ("point", {"watched": "point", "point": "nothing"}, "nothing"),
        ("watched", {"watched": "site:999"}, "is not there"),
        ("limit", {"kind": "threshold", "quantity": "aP", "limit": "a lot"}, "50 kW"),
        ("limit", {"kind": "threshold", "quantity": "aP", "limit": "50 °C"}, "another unit"),
        ("consecutive", {"kind": "threshold", "quantity": "aP", "limit": "5", "consecutive": "0"},
         "whole number"),
        ("days", {"days": []}, "at least one day"),
        ("to_time", {"from_time": "22:00"}, "both times"),
        ("from_time", {"from_time": "25:00", "to_time": "26:00"}, "such as 06:30"),
        ("quiet_to", {"quiet_from": "22:00"}, "both ends"),
        ("quiet_to", {"quiet_from": "22:00", "quiet_to": "22:00"}, "two different"),
        ("remind", {"remind": "often"}, "not an interval"),
        ("escalate", {"escalate": "30m"}, "which others"),
        ("channels", {"channels": ["999"]}, "not there any more"),
        ("price", {"kind": "cumulated", "sum_of": "pC", "period": "day", "measure": "money",
                   "sum_limit": "5"}, "number above zero"),
        ("", {"kind": "sentinel"}, "Choose one"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_rule_is_said_beside_its_field(
    world: World, admin: TestClient, field: str, changes: dict[str, str | list[str]], says: str
) -> None:
    """The form comes back as it was filled in; no rule is made that could never speak."""
    with world.catalog.reading() as session:
        before = len(catalogue.rules(session))
    answer = admin.post(home(world, "rules"), data=rule_form(admin, **changes), headers=PAGE)
    assert answer.status_code == 422
    problem = re.search(rf'id="{field}-problem">([^<]*)', answer.text)
    assert says in (problem[1] if problem else answer.text)
    with world.catalog.reading() as session:
        assert len(catalogue.rules(session)) == before


def test_a_rule_is_switched_off_and_removed(world: World, admin: TestClient) -> None:
    """With one press each."""
    row = add_rule(admin, world, name="For a while")
    address = f"{home(world, 'rules')}/{row.id}"
    admin.post(f"{address}/switch", data={"csrf": token(admin)})
    with world.catalog.reading() as session:
        found = session.get(AlertRule, row.id)
        assert found is not None
        assert not found.enabled
    admin.post(f"{address}/remove", data={"csrf": token(admin)})
    assert admin.get(address, headers=PAGE).status_code == 404


def test_a_channel_is_tested_from_its_page(world: World, admin: TestClient, hook: Hook) -> None:
    """A real message goes out, and the page says what became of it and why."""
    number = add_channel(admin, world, name="Our system", service="webhook", url=hook.url)
    address = f"{home(world, 'channels')}/{number}"
    page = admin.post(f"{address}/test", data={"csrf": token(admin)}, headers=PAGE).text
    assert "Our system took the message." in page
    assert hook.received[0]["text"] == "A. Lee tested this channel: it works."
    world.now[0] += 1_000
    hook.answers.append((404, {}))
    page = admin.post(f"{address}/test", data={"csrf": token(admin)}, headers=PAGE).text
    assert "The receiver answered 404." in page
    assert "Trying again would not help" in page
    history = admin.get("/notifications/history", headers=PAGE).text
    assert history.count("Test from Kilowatch") == 2
    assert "The receiver answered 404." in history
    only = admin.get("/notifications/history?state=failed", headers=PAGE).text
    assert only.count("Test from Kilowatch") == 1
    path = re.search(r'href="(/notifications/history\.csv[^"]*)"', only)
    assert path
    assert "state=failed" in path[1]
    failed = rows_of(admin, path[1].replace("&amp;", "&"))
    assert [(row["title"], row["outcome"]) for row in failed] == [("Test from Kilowatch", "failed")]
    assert failed[0]["reason of the attempt"] == "The receiver answered 404."
    both = rows_of(admin, f"/notifications/history.csv?channel={number}")
    assert [row["outcome of the attempt"] for row in both] == ["failed", "delivered"]
    assert both[0]["made"] > both[1]["made"], "the newest first"


def test_what_went_out_is_a_file_for_who_manages_and_exports(
    world: World, admin: TestClient, logged: Logged, hook: Hook
) -> None:
    """Neither a viewer nor another organisation's manager takes it, whatever they name."""
    own = world.point("main").organisation_id
    number = add_channel(admin, world, name="Taken along", service="webhook", url=hook.url)
    tested = f"{home(world, 'channels')}/{number}/test"
    assert admin.post(tested, data={"csrf": token(admin)}, headers=PAGE).status_code == 200
    assert "Test from Kilowatch" in admin.get("/notifications/history.csv").text
    path = f"/notifications/history.csv?organisation={own}"
    assert logged(VIEWER).get(path).status_code == 403
    stranger = logged(STRANGER).get(path)
    assert stranger.status_code == 200, "of their own organisation"
    assert len(stranger.text.splitlines()) == 1


def test_an_address_is_never_shown_again(world: World, admin: TestClient, hook: Hook) -> None:
    """Neither in the list, nor in the form, nor after a mistake; and leaving it empty keeps it."""
    number = add_channel(
        admin, world, name="Secret", service="webhook", url=hook.url, secret="sh4red"
    )
    address = f"{home(world, 'channels')}/{number}"
    paths = ("/notifications/history", "/notifications/history.csv")
    for path in (home(world, "channels"), address, *paths):
        text = admin.get(path, headers=PAGE).text
        assert "s3cr3t" not in text
        assert "sh4red" not in text
    sent = {"csrf": token(admin), "name": "Renamed", "enabled": "on"}
    assert admin.post(address, data=sent).status_code == 303
    admin.post(f"{address}/test", data={"csrf": token(admin)}, headers=PAGE)
    assert len(hook.received) == 1
    sent = {"csrf": token(admin), "service": "telegram", "name": "", "token": "1:t0ken"}
    wrong = admin.post(home(world, "channels"), data=sent, headers=PAGE)
    assert wrong.status_code == 422
    assert "1:t0ken" not in wrong.text


@pytest.mark.parametrize(
    ("form", "field", "says"),
    [
        ({"service": "email", "to": "nobody"}, "to", "is not an e-mail address"),
        ({"service": "webhook", "url": "ftp://example.com"}, "url", "no web address"),
        ({"service": "webhook", "url": "http://10.0.0.1/"}, "url", "not a public address"),
        ({"service": "webhook", "url": ""}, "url", "needed"),
        ({"service": "slack", "url": "https://example.com/"}, "url", "not the address"),
        ({"service": "slack", "url": "ntfy://topic"}, "url", "not a webhook address of Slack"),
        ({"service": "sms", "account": "AC1", "token": "t", "sender": "12", "phone": "+3531234567"},
         "sender", "no telephone number"),
        ({"service": "apprise", "url": "syslog://"}, "url", "not the address of a service"),
        ({"service": "fax"}, "", "Choose how"),
        ({"service": "email", "to": "a@b.example", "name": ""}, "name", "is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_channel_is_said_beside_its_field(
    world: World, admin: TestClient, form: dict[str, str], field: str, says: str
) -> None:
    """Before it is needed at night."""
    sent = {"csrf": token(admin), "name": "Some channel", **form}
    answer = admin.post(home(world, "channels"), data=sent, headers=PAGE)
    assert answer.status_code == 422
    problem = re.search(rf'id="{field}-problem">([^<]*)', answer.text)
    assert says in (problem[1] if problem else answer.text)


@pytest.mark.parametrize("what", ["rules", "channels"])
@pytest.mark.parametrize("then", ["", "/remove", "/test"])
def test_a_rule_or_channel_of_another_organisation_is_not_there(
    world: World, logged: Logged, what: str, then: str
) -> None:
    """Its number below one's own organisation is a 404."""
    admin, stranger = logged(ADMIN), logged(STRANGER)
    if what == "rules":
        number = add_rule(admin, world, name="Ours").id
    else:
        name = f"Ours {then}"
        number = add_channel(admin, world, name=name, to="ours@acme.example")
    theirs = re.search(r"/organization/(\d+)/rules", stranger.get("/notifications").text)
    assert theirs
    address = f"/organization/{theirs[1]}/{what}/{number}"
    assert stranger.get(address, headers=PAGE).status_code == 404
    sent = {"csrf": token(stranger), "name": "taken over"}
    assert stranger.post(address + then, data=sent).status_code == 404


def test_what_was_put_off_until_now_can_be_acknowledged_at_the_bell(house: House) -> None:
    """The day has come: an answer under Notifications is one on the finding's page again."""
    world, admin = house.world, house.log_in(ADMIN)
    hvac, notifier = world.point("hvac"), world.extra["notifier"]
    found = furnish(world, 2)["weekend"]
    add_rule(admin, world, name="Found", kind="sentinel", about="all")
    world.extra["findings"].tell(
        Tiding(
            found.id, hvac.organisation_id, hvac.site_id, hvac.id, is_waste=True, over=False,
            since_ms=found.start_ms, title="HVAC: a weekend", lines=("What happened.",),
        )
    )  # fmt: skip
    notifier.engine.run_once()
    path = f"/event/{hvac.id}/{found.id}"
    later = {"verdict": "snoozed", "snooze_until": "2026-11-10"}
    assert post(admin, path, f"{path}/say", **later).status_code == 303
    world.now[0] += 20 * 3_600_000  # Tuesday 10 November, 10:22
    notifier.engine.run_once()
    again = house.log_in(ADMIN)
    bell = again.get("/notifications", headers=PAGE).text
    waiting = re.search(rf"/breakdown/{hvac.id}/alerts/\d+/acknowledge", bell)
    assert waiting
    assert post(again, "/notifications", waiting[0]).status_code == 303
    assert 'data-state="acknowledged"' in again.get(path, headers=PAGE).text


def test_a_finding_reads_as_on_its_own_page_and_names_only_what_one_may_read(
    world: World, admin: TestClient, logged: Logged
) -> None:
    """Who was given one data point is not told by a message of what else there is."""
    hvac, main = world.point("hvac"), world.point("main")
    made = furnish(world, 2)
    found = made["weekend"]
    assert found.others == (main.series,)
    add_rule(admin, world, name="Found", kind="sentinel", about="all")
    findings, notifier = world.extra["findings"], world.extra["notifier"]
    evening, chiller = made["after_hours"], world.point("chiller")
    for one, at in ((found, hvac), (evening, chiller)):
        findings.tell(
            Tiding(
                one.id, at.organisation_id, at.site_id, at.id, is_waste=True, over=False,
                since_ms=one.start_ms, title="as it went out", lines=(f"seen at {main.name} too.",),
            )
        )  # fmt: skip
    for _ in range(5):
        notifier.engine.run_once()
        world.now[0] += 1_000
    with world.catalog.change(Actor("test")) as change:
        tenant = change.session.scalars(select(User).filter_by(email=END_USER)).one()
        point = change.session.get(DataPoint, hvac.id)
        assert point is not None
        people.grant(change, tenant, point)
    path = f"/event/{hvac.id}/{found.id}"

    def told(client: TestClient) -> str:
        return unescape(client.get("/notifications", headers=PAGE).text)

    everything, some = told(admin), told(logged(END_USER))
    for text in (everything, some):
        assert "HVAC: running over the weekend, 672 kWh more than needed" in text
        assert "as it went out" not in text
    assert f"seen at {main.name} too" in everything
    assert f'href="{path}"' in everything
    assert "seen at" not in some[some.index("running over the weekend") :]
    said = post(admin, path, f"{path}/say", verdict="fault")
    assert said.status_code == 303
    assert "takes care since" in told(admin), "what was answered waits no longer at the bell either"
    said_path = re.search(rf'action="({path}/\d+/take-back)"', admin.get(path, headers=PAGE).text)
    assert said_path
    assert post(admin, path, said_path[1]).headers["location"].endswith("taken_back")
    answered = "SELECT acknowledged_ms IS NOT NULL FROM alert WHERE subject = ?"
    assert not notifier._book.number(answered, found.id), "what was taken back waits again"
    later = {"verdict": "snoozed", "snooze_until": "2026-11-16"}
    assert post(admin, path, f"{path}/say", **later).status_code == 303
    assert notifier._book.number(answered, found.id)
    assert notifier._book.number("SELECT snoozed_ms FROM alert WHERE subject = ?", found.id) == (
        1_794_787_200_000 + 7 * 3_600_000  # Monday 16 November, 07:00 in Dublin
    )
    newest = select(func.max(AuditEntry.id)).where(AuditEntry.subject == "event_verdict")
    with world.catalog.reading() as session:
        entry = session.execute(newest).scalar_one()
    undo = f"/organization/{hvac.organisation_id}/history/{entry}/undo"
    assert post(admin, path, undo).status_code == 303
    assert not notifier._book.number(answered, found.id), "likewise by the history of changes"
    later = {"verdict": "snoozed", "snooze_until": "2027-03-28"}
    assert post(admin, path, f"{path}/say", **later).status_code == 303
    assert notifier._book.number("SELECT snoozed_ms FROM alert WHERE subject = ?", found.id) == (
        1_806_192_000_000 + 6 * 3_600_000  # 07:00, of which an hour was left out that night
    )
    (address,) = set(re.findall(rf"/breakdown/{chiller.id}/alerts/\d+/acknowledge", everything))
    assert post(admin, "/notifications", address).status_code == 303
    page = admin.get(f"/event/{chiller.id}/{evening.id}", headers=PAGE).text
    assert 'data-state="acknowledged"' in page
