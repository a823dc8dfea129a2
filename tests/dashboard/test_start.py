"""The first hour: who is led through it, what each step takes, and when it is over."""

from __future__ import annotations

import re

from tests.dashboard.house import PAGE, House, post
from tests.dashboard.worlds import ADMIN, STRANGER, VIEWER

HERE = re.compile(r'aria-current="step">.*?<strong>([^<]+)</strong>', re.DOTALL)


def test_only_who_can_set_something_up_where_nothing_has_arrived_is_led(house: House) -> None:
    """Where packets have come, home is home; a viewer has nothing to set up; "later" is kept."""
    for email in (ADMIN, VIEWER):
        assert house.log_in(email).get("/", headers=PAGE).status_code == 200
    assert house.log_in(VIEWER).get("/start", headers=PAGE).status_code == 403
    newcomer = house.log_in(STRANGER)
    assert newcomer.get("/", headers=PAGE).headers["location"] == "/start"
    later = post(newcomer, "/start", "/start/later")
    assert later.headers["location"] == "/"
    assert newcomer.get("/", headers=PAGE).status_code == 200
    assert newcomer.get("/start", headers=PAGE).status_code == 200, "it can be gone on with"


def test_a_step_says_what_is_wrong_and_a_password_is_shown_once(house: House) -> None:
    """A form sent twice issues no second credential, and coming back never shows the secret."""
    admin, world = house.log_in(), house.world
    site = world.sites["Office Dublin"]
    wrong = post(admin, "/start", f"/start/site/{site}/data-point", measures="steam", every="5m")
    assert wrong.status_code == 422
    newcomer = house.log_in(STRANGER)
    shown = newcomer.get("/start", headers=PAGE).text
    due = HERE.search(shown)
    assert due
    assert due[1] == "Credential", "the site and the data point are there already"
    place = re.search(r"/organization/\d+/start/\d+/credential", shown)
    fields = dict(re.findall(r'name="(after)" value="(\d+)"', shown))
    assert place
    issued = post(newcomer, "/start", place[0], **fields)
    assert issued.status_code == 200
    secret = re.search(r"<dt>Password</dt><dd><code>([^<]+)", issued.text)
    assert secret
    assert f":{secret[1]}" in issued.text.replace("&#39;", "'"), "the line is ready to run"
    again = post(newcomer, "/start", place[0], **fields)
    assert again.status_code == 303
    back = newcomer.get(again.headers["location"], headers=PAGE).text
    assert secret[1] not in back
    assert "made already" in back
    assert "$PASSWORD" in back
    other = re.sub(r"/start/\d+", f"/start/{world.point('main').id}", place[0])
    theirs = post(newcomer, "/start", other, after="0")
    assert theirs.status_code == 404, "a data point of another organisation is not there"
