"""Every change is in the history, steps the revision if it must, and is whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select, update

from kilowatch import catalog
from kilowatch.catalog import credentials, data_points, people, registry, reshaping
from kilowatch.catalog.changes import Change
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.reshaping import SiteDraft
from kilowatch.catalog.settings_check import Settings
from kilowatch.catalog.tables import AuditEntry, Organisation, SeriesHistory
from kilowatch.model.errors import KilowatchError

GAS = Settings("single", "gas", 300)


def history(opened: catalog.Catalog) -> list[AuditEntry]:
    """Read the whole history."""
    with opened.reading() as session:
        return list(session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def test_the_history_says_who_changed_what_when_and_from_what(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """An auditor sees that a site moved from Dublin to Cork's clock, and who moved it."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
    with opened.change(actor) as change:
        reshaping.change_site(change, site, SiteDraft("Office", "Europe/Paris", "FR"))
    entry = history(opened)[-1]
    assert (entry.action, entry.subject, entry.subject_id) == ("changed", "site", site.id)
    assert entry.organisation_id == acme.id
    assert entry.before == {"zone": "Europe/Dublin", "country": "IE"}
    assert entry.after == {"zone": "Europe/Paris", "country": "FR"}
    assert (entry.actor, entry.user_id, entry.address) == ("ann@example.com", 7, "192.0.2.1")
    assert entry.at_ms == opened.clock()


def test_no_secret_is_in_the_history_or_the_file(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor, tmp_path: Path
) -> None:
    """Who steals the registry's file has no password to push or to log in with."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        issued = credentials.issue(change, key, Target(acme), environment="development")
        user, password = people.add_user(change, "bob@example.com")
    with opened.change(actor) as change:
        people.set_password(change, user.id, "a better one than that")
    entry = history(opened)[-1]
    assert entry.after == {"password_hash": "replaced"}
    assert entry.before == {}
    text = "".join(f"{e.before}{e.after}" for e in history(opened))
    assert "argon2" not in text
    assert "secret_digest" not in text
    everything = (tmp_path / "catalog.sqlite").read_bytes()
    for secret in (issued.secret, password, "a better one than that", key.hex()):
        assert secret.encode() not in everything


def test_a_refused_change_leaves_nothing_behind(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """Half an organisation would be worse than none."""
    before = opened.revision()

    def half() -> None:
        with opened.change(actor) as change:
            acme = registry.add_organisation(change, "Acme", country="IE")
            registry.add_site(change, acme, "Office", zone="Europe/Atlantis")

    with pytest.raises(KilowatchError, match="not a time zone"):
        half()
    assert history(opened) == []
    assert opened.revision() == before


def _add_credential(change: Change, organisation: Organisation) -> object:
    return credentials.issue(change, b"k" * 32, Target(organisation), environment="development")


def _add_data_point(change: Change, organisation: Organisation) -> object:
    site = registry.sites(change.session, organisation.id)[0]
    return data_points.register(change, site, "Boiler", GAS)


def _change_zone(change: Change, organisation: Organisation) -> None:
    site = registry.sites(change.session, organisation.id)[0]
    reshaping.change_site(change, site, SiteDraft("Office", "Europe/Paris", "FR"))


def _change_password(change: Change, _: Organisation) -> None:
    people.set_password(change, 1, "one that nobody guesses")


@pytest.mark.parametrize("act", [_add_credential, _add_data_point, _change_zone, _change_password])
def test_what_the_collector_must_see_steps_the_revision_once(
    opened: catalog.Catalog,
    actor: catalog.Actor,
    act: Callable[[Change, Organisation], object],
) -> None:
    """A registration or a revocation reaches the running server within its next look."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        people.add_user(change, "bob@example.com")
    before = opened.revision()
    with opened.change(actor) as change:
        act(change, acme)
        assert opened.revision() == before  # not seen before it is committed
    assert opened.revision() == before + 1


def test_bookkeeping_does_not_step_the_revision(
    opened: catalog.Catalog, key: bytes, actor: catalog.Actor
) -> None:
    """Noting when a credential was last used must not make every server reload."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        issued = credentials.issue(change, key, Target(acme), environment="development")
    before, entries = opened.revision(), len(history(opened))
    here = credentials.Use(1_795_435_000_000, "192.0.2.7")
    nobody = credentials.Use(5, "")
    credentials.touch(opened, {issued.credential.id: here, -1: nobody, 999: nobody})
    assert (opened.revision(), len(history(opened))) == (before, entries)
    with opened.reading() as session:
        listed = credentials.listing(session)
        assert credentials.holder(session, issued.credential.id) == issued.credential.username
    assert [row.credential.last_used_ms for row in listed] == [1_795_435_000_000]
    assert [row.credential.last_used_address for row in listed] == ["192.0.2.7"]


WRITER = """
import sys
from pathlib import Path
from kilowatch import catalog
from kilowatch.catalog import data_points, registry
from kilowatch.catalog.settings_check import Settings
opened = catalog.open(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    with opened.change(catalog.Actor(sys.argv[2])) as change:
        acme = registry.find_organisation(change.session, "Acme")
        site = registry.find_site(change.session, acme, "Office")
        gas = Settings("single", "gas", 300)
        data_points.register(change, site, f"{sys.argv[2]}-{number}", gas)
"""


def test_two_programs_that_register_at_once_lose_nothing(
    opened: catalog.Catalog, actor: catalog.Actor, tmp_path: Path
) -> None:
    """The dashboard and a shell may register at the same moment: each series is given once."""
    count = 25
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        registry.add_site(change, acme, "Office", zone="Europe/Dublin")
    before = opened.revision()
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "catalog.sqlite"), name, str(count)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("dashboard", "shell")
    ]
    faults = [process.communicate(timeout=120)[1] for process in running]
    assert faults == ["", ""]
    directory = catalog.directory.load(opened, "development")
    assert sorted(directory.points) == list(range(1, 2 * count + 1))
    assert opened.revision() == before + 2 * count


def test_a_series_is_never_given_twice(opened: catalog.Catalog, actor: catalog.Actor) -> None:
    """Readings of a data point that is gone can never appear under a new one."""
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        site = registry.add_site(change, acme, "Office", zone="Europe/Dublin")
        first = data_points.register(change, site, "Boiler", GAS)
    with opened.change(actor) as change:
        for row in change.session.scalars(select(SeriesHistory)):
            change.session.delete(row)
        change.session.flush()
        change.session.delete(change.session.merge(first))
    with opened.change(actor) as change:
        second = data_points.register(change, site, "Boiler", GAS)
    assert second.series > first.series
    assert second.id > first.id


def test_a_catalogue_that_somebody_holds_is_named_as_busy(
    opened: catalog.Catalog, actor: catalog.Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command that cannot write says that another program does, and that trying again helps."""
    monkeypatch.setattr("kilowatch.catalog.database.BUSY_TIMEOUT_S", 0.1)
    other = catalog.open(tmp_path / "catalog.sqlite")
    with opened.change(actor) as change:
        registry.add_organisation(change, "Acme", country="IE")
        with pytest.raises(KilowatchError, match="held the catalogue") as refused:
            other.change(actor).__enter__()
    assert (refused.value.code, refused.value.retry_helps) == ("catalog_busy", True)


def test_people_read_on_while_a_large_change_is_under_way(
    opened: catalog.Catalog, actor: catalog.Actor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ten thousand data points go in by one file, and no page and no gateway waits for it."""
    monkeypatch.setattr("kilowatch.catalog.database.BUSY_TIMEOUT_S", 0.2)
    other = catalog.open(tmp_path / "catalog.sqlite")
    before = other.revision()
    with opened.change(actor) as change:
        acme = registry.add_organisation(change, "Acme", country="IE")
        for _ in range(3_000):  # 6 MB, three times what the page cache holds
            change.record("imported", "data_point", None, acme.id, file="x" * 2_000)
        assert other.revision() == before


def test_an_update_that_passes_the_history_by_is_seen_as_such(
    opened: catalog.Catalog, actor: catalog.Actor
) -> None:
    """What the docstring of a change warns of is true: only objects are audited."""
    with opened.change(actor) as change:
        registry.add_organisation(change, "Acme", country="IE")
    entries = len(history(opened))
    with opened.change(actor) as change:
        change.session.execute(update(Organisation).values(demo=True))
    assert len(history(opened)) == entries
