"""Sites from a shell: listed, changed, and their clock from a date on or for all time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Shell

BERLIN_SINCE = ["--time-zone", "Europe/Berlin", "--from", "2025-05-01"]


@pytest.fixture
def office(shell: Shell, acme: dict[str, Any]) -> str:
    """Return the only site of Acme, by its name."""
    assert acme
    (found,) = shell("site", "list", "--json").json
    assert found["zones"] == []
    shell("site", "set", found["name"], "--rename", "Office", "--time-zone", "Europe/Dublin")
    return "Office"


def listed(shell: Shell) -> dict[str, Any]:
    """Return the only site as a program sees it."""
    (found,) = shell("site", "list", "--organization", "acme", "--json").json
    return dict(found)


def test_what_is_known_of_a_site_is_changed_and_listed(shell: Shell, office: str) -> None:
    """What a command does not name stays; an area of 0 is an area that is not known."""
    flags = ["--country", "gb", "--city", "Cork", "--area", "1250.5", "--contact-name", "Ann"]
    said = shell("site", "set", "OFFICE", *flags, "--organization", "Acme").text
    assert "city: Cork" in said
    found = listed(shell)
    wanted = {
        "name": office, "country": "GB", "city": "Cork", "area_m2": 1250.5,
        "contact_name": "Ann", "timezone": "Europe/Dublin", "zones": [], "data_points": 3,
    }  # fmt: skip
    assert {key: found[key] for key in wanted} == wanted
    shell("site", "set", office, "--area", "0", "--address", "1 Quay")
    assert (listed(shell)["area_m2"], listed(shell)["city"]) == (None, "Cork")
    text = shell("site", "list").text
    for word in ("Acme", "Office", "Europe/Dublin", "1 Quay, Cork"):
        assert word in text


def test_a_site_that_moved_keeps_its_old_days_and_the_move_is_taken_back(
    shell: Shell, office: str
) -> None:
    """The date is local time of the zone until then; the word that undoes it is in the list."""
    said = shell("site", "set", office, *BERLIN_SINCE).text
    assert "computed again" in said
    found = listed(shell)
    dublin_ms = 1_746_054_000_000  # 2025-05-01 00:00 in Dublin
    assert found["timezone"] == "Europe/Berlin"
    assert [(one["from_ms"], one["timezone"]) for one in found["zones"]] == [
        (None, "Europe/Dublin"), (dublin_ms, "Europe/Berlin"),
    ]  # fmt: skip
    word = found["zones"][1]["undo"]
    assert f"from 2025-05-01 01:00:00+02:00 ({word})" in shell("site", "list").text
    shell("site", "undo", office, word)
    assert (listed(shell)["timezone"], listed(shell)["zones"]) == ("Europe/Dublin", [])
    assert "no dated time zone" in str(shell("site", "undo", office, word).refusal)


def test_a_zone_that_was_always_wrong_drops_what_was_dated(shell: Shell, office: str) -> None:
    """Also when it is the zone that the site has had since the date."""
    shell("site", "set", office, *BERLIN_SINCE)
    shell("site", "set", office, "--city", "Kiel")
    assert len(listed(shell)["zones"]) == 2, "another fact leaves the clock alone"
    shell("site", "set", office, "--time-zone", "Europe/Berlin")
    assert (listed(shell)["timezone"], listed(shell)["zones"]) == ("Europe/Berlin", [])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["set", "Depot", "--city", "Cork"], "It has: 'Office'"),
        (["set", "Office"], "Nothing is named"),
        (["set", "Office", "--from", "2025-05-01"], "Only a time zone has a date"),
        (["set", "Office", "--time-zone", "Europe/Atlantis"], "Europe/Atlantis"),
        (["set", "Office", "--time-zone", "Europe/Berlin", "--from", "2999-01-01"], "until now"),
        (["set", "Office", "--time-zone", "Europe/Berlin", "--from", "today"], "is not a time"),
        (["set", "Office", "--country", "Eire"], "Eire"),
        (["set", "Office", "--area", "-5"], "not above zero"),
        (["set", "Office", "--city", "Cork", "--organization", "Acne"], "no organisation named"),
        (["undo", "Office", "everything"], "zone-3"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_changes_nothing(
    shell: Shell, office: str, arguments: list[str], says: str
) -> None:
    """A refusal says what there is, or how to write it."""
    assert office
    before = listed(shell)
    refused = shell("site", *arguments).refusal
    assert refused is not None
    assert says in f"{refused.detail} {refused.remedy}"
    assert listed(shell) == before
