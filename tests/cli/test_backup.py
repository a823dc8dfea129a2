"""A folder at rest becomes a file, and the file a folder: what is taken over, and what is not."""

from __future__ import annotations

import fcntl
import gzip
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from kilowatch import catalog
from kilowatch.backup import Archive, read
from kilowatch.catalog import alerts, invitations, secrets, sessions
from kilowatch.catalog.tables import AuditEntry, Credential, LoginSession
from kilowatch.catalog.tables_alerts import AlertChannel
from kilowatch.catalog.tables_people import Invitation
from kilowatch.cli import backup, backup_made, backup_source, restore
from kilowatch.cli.backup_source import standing_still
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.standstill import only_backup
from kilowatch.log import LogReader, copying
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.book import Book, Delivery, insert
from kilowatch.store import freezing
from tests.cli.conftest import Said, Shell
from tests.log.pushing import Push, Pushing

STORED = "abc00000-0000-4000-8000-000000000000"
WAITING = {
    "alert_id": None, "organisation_id": 1, "channel_id": 1, "channel_name": "desk",
    "shown": "desk", "what": "opened", "title": "Silent", "body": "", "facts": "{}",
    "created_ms": 1, "next_ms": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def only_this_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep what the commands change of their own process from the other tests."""
    monkeypatch.setattr(backup, "step_back", lambda: None)
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return where the backup goes."""
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "b.tar"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Shell:
    """Return a command line with another folder, which is not there yet."""
    return Shell(tmp_path / "elsewhere" / "data")


@pytest.fixture
def packets(shell: Shell, acme: dict[str, Any]) -> int:
    """Put packets into the log of a folder that no server runs on."""
    assert acme
    log = Pushing(DataFolder(shell.folder).log, segment_rows=20)
    log.push_all([Push(1, minute, {"aP_1": 1.0}) for minute in range(50)])
    log.close()
    secrets.server_key(shell.folder)
    return 50


def code_of(said: Said) -> str:
    """Return the code with which a command refused."""
    assert said.refusal is not None
    assert said.refusal.detail
    return said.refusal.code


def test_what_is_restored_is_what_was_backed_up(
    shell: Shell, packets: int, file: Path, elsewhere: Shell
) -> None:
    """Data points, credentials, packets, key and settings, each for the owner only."""
    (shell.folder / "kilowatch.toml").write_text('log_level = "warning"\n')
    told = shell("backup", str(file), "--json").json
    assert (told["organisations"], told["data_points"], told["packets"]) == (1, 3, packets)
    assert (told["verified"], told["missing"]) == (True, [])
    assert told["bytes"] == file.stat().st_size
    assert shell("restore", "--check", str(file), "--json").json["packets"] == packets
    said = elsewhere("restore", str(file), "--json").json
    assert (said["data"], said["messages_dropped"]) == (str(elsewhere.folder), 0)
    for name in ("secret.key", "kilowatch.toml"):
        assert (elsewhere.folder / name).read_bytes() == (shell.folder / name).read_bytes()
    one, two = (LogReader(DataFolder(each.folder).log) for each in (shell, elsewhere))
    assert one.read(0) == two.read(0)
    one.close()
    two.close()
    for path in [elsewhere.folder, *elsewhere.folder.rglob("*")]:
        if not path.is_symlink():
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert [path.name for path in elsewhere.folder.parent.iterdir()] == ["data"]
    assert not (shell.folder / "backup").exists()
    assert digests(elsewhere.folder) == digests(shell.folder)


def digests(folder: Path) -> list[bytes]:
    """Return what the catalogue keeps of its credentials' secrets."""
    opened = catalog.open(folder / "catalog.sqlite")
    with opened.reading() as session:
        found = list(session.scalars(select(Credential.secret_digest)))
    opened.close()
    return found


def test_nobody_is_logged_in_and_the_history_says_why(
    shell: Shell, acme: dict[str, Any], file: Path, elsewhere: Shell
) -> None:
    """Who logged out since the backup is not logged in again by it."""
    key = secrets.server_key(shell.folder)
    opened = catalog.open(shell.folder / "catalog.sqlite")
    login = {"email": "ann@example.com", "password": acme["dashboard_password"], "address": "::1"}
    begun = sessions.authenticate(opened, key, **login)
    assert begun.token
    opened.close()
    shell("backup", str(file))
    elsewhere("restore", str(file))
    again = catalog.open(elsewhere.folder / "catalog.sqlite")
    with again.reading() as session:
        assert session.scalar(select(func.count()).select_from(LoginSession)) == 0
        entry = session.scalars(select(AuditEntry).order_by(AuditEntry.id.desc())).first()
        assert entry is not None
        assert (entry.action, entry.subject) == ("restored from a backup", "organisation")
        assert entry.after["file"].startswith("b.tar of 20")
    assert sessions.authenticate(again, key, **login).token, "the password is the same"
    again.close()


def test_an_invitation_that_was_open_has_to_be_sent_again(
    shell: Shell, acme: dict[str, Any], file: Path, elsewhere: Shell
) -> None:
    """It may have been withdrawn since; those that were over stay as they were."""
    assert acme
    key = secrets.server_key(shell.folder)
    opened = catalog.open(shell.folder / "catalog.sqlite")
    with opened.change(catalog.Actor("test")) as change:
        for number, over in enumerate((None, 7), 1):
            change.session.add(
                Invitation(
                    organisation_id=1, email=f"new{number}@example.com", role="viewer",
                    whole_organisation=True, created_at_ms=1, expires_at_ms=change.now_ms * 2,
                    token_digest=secrets.digest(key, f"t{number}", invitations.PURPOSE),
                    withdrawn_at_ms=over,
                )
            )  # fmt: skip
    opened.close()
    shell("backup", str(file))
    elsewhere("restore", str(file))
    again = catalog.open(elsewhere.folder / "catalog.sqlite")
    with again.reading() as session:
        rows = session.scalars(select(Invitation).order_by(Invitation.id)).all()
        assert [row.withdrawn_at_ms == 7 for row in rows] == [False, True]
        with pytest.raises(KilowatchError) as refusal:
            invitations.look_up(session, key, "t1", 2)
        assert refusal.value.code == "invitation_over"
        noted = session.scalars(select(AuditEntry).where(AuditEntry.subject == "invitation")).all()
        assert "withdrawn_at_ms" in noted[-1].after
    again.close()


def test_messages_that_waited_are_not_sent_and_those_that_were_stay_so(
    shell: Shell, acme: dict[str, Any], file: Path, elsewhere: Shell
) -> None:
    """The server that the backup is of has told people; the restored one must not do it again."""
    assert acme
    book = Book(DataFolder(shell.folder).notify)
    with book.writing() as tx:
        for key, state in (("one", "pending"), ("two", "sent"), ("three", "pending")):
            insert(tx, "delivery", [{**WAITING, "key": key, "state": state}])
    book.close()
    shell("backup", str(file))
    assert elsewhere("restore", str(file), "--json").json["messages_dropped"] == 2
    found = Book(DataFolder(elsewhere.folder).notify)
    assert [one.state for one in found.all(Delivery)] == ["dropped", "sent", "dropped"]
    assert "backup" in found.all(Delivery)[0].reason
    found.close()


def test_a_trial_talks_to_nobody(
    shell: Shell, acme: dict[str, Any], file: Path, elsewhere: Shell
) -> None:
    """Whoever tries a restore beside the running server does not alarm people with it."""
    assert acme
    opened = catalog.open(shell.folder / "catalog.sqlite")
    with opened.change(catalog.Actor("test")) as change:
        alerts.add_channel(change, 1, "desk", "email", "desk", b"sealed")
    opened.close()
    shell("backup", str(file))
    elsewhere("restore", str(file), "--channels-off")
    again = catalog.open(elsewhere.folder / "catalog.sqlite")
    with again.reading() as session:
        assert [one.enabled for one in session.scalars(select(AlertChannel))] == [False]
    again.close()


def test_nothing_is_restored_over_anything(
    shell: Shell, packets: int, file: Path, tmp_path: Path
) -> None:
    """Not over data, not under a running server, not in place of a file."""
    assert packets
    shell("backup", str(file))
    before = {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")}
    assert code_of(shell("restore", str(file))) == "folder_not_empty"
    with (shell.folder / "collector.lock").open("a") as lock:
        before[shell.folder / "collector.lock"] = os.fstat(lock.fileno()).st_mtime_ns
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert code_of(shell("restore", str(file))) == "already_running"
    assert {path: path.stat().st_mtime_ns for path in shell.folder.rglob("*")} == before
    (tmp_path / "there").write_text("a letter")
    assert code_of(Shell(tmp_path / "there")("restore", str(file))) == "folder_unusable"
    (tmp_path / "empty").mkdir()
    assert Shell(tmp_path / "empty")("restore", str(file)).refusal is None
    assert (tmp_path / "empty" / "catalog.sqlite").exists()


def test_a_volume_gets_its_backup_inside(
    shell: Shell, packets: int, file: Path, elsewhere: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be made beside a mounted disk: no server starts on it before all is there."""
    assert packets
    shell("backup", str(file))
    elsewhere.folder.mkdir(parents=True)
    (elsewhere.folder / "lost+found").mkdir()
    monkeypatch.setattr(restore, "beside_works", lambda _root: False)
    seen: list[str] = []

    def settle(*arguments: Any, **named: Any) -> int:
        seen.append(code_of(elsewhere("site", "list")))
        return real(*arguments, **named)

    real = restore._settle
    monkeypatch.setattr(restore, "_settle", settle)
    assert elsewhere("restore", str(file)).refusal is None
    assert seen == ["restore_unfinished"]
    monkeypatch.undo()
    assert "Main site" in elsewhere("site", "list").text
    assert {"catalog.sqlite", "log", "lost+found", "secret.key"} <= {
        path.name for path in elsewhere.folder.iterdir()
    }
    assert not (elsewhere.folder / DataFolder.RESTORING).exists()


def test_a_restore_that_fails_leaves_a_volume_as_it_was(
    shell: Shell, packets: int, file: Path, elsewhere: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the last step fails, which moves everything into place."""
    assert packets
    shell("backup", str(file))
    elsewhere.folder.mkdir(parents=True)
    monkeypatch.setattr(restore, "beside_works", lambda _root: False)
    real = Path.rename
    left = 2

    def rename(path: Path, to: Path) -> Path:
        nonlocal left
        if path.parent.name == DataFolder.RESTORING:
            left -= 1
            if left < 0:
                raise OSError(5, "Input/output error")
        return real(path, to)

    monkeypatch.setattr(Path, "rename", rename)
    assert code_of(elsewhere("restore", str(file))) == "folder_unusable"
    assert not list(elsewhere.folder.iterdir())


def changed(file: Path, more: dict[str, bytes], less: str = "") -> None:
    """Write a backup anew, as whoever knows its format could."""
    held: dict[str, bytes] = {}

    def take(name: str, pieces: Iterator[bytes]) -> None:
        held[name] = b"".join(pieces)

    manifest = read(file, take=take)
    with Archive(file, manifest.head, overwrite=True) as archive:
        for name, content in {**held, **more}.items():
            if name != less:
                archive.add_bytes(name, content)
        archive.finish(manifest.contents, manifest.finished_ms)


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("backup_damaged", lambda file: file.write_bytes(file.read_bytes()[:-30_000])),
        ("backup_damaged", lambda file: changed(file, {"control.sock": b"x"})),
        ("backup_damaged", lambda file: changed(file, {}, "catalog.sqlite.gz")),
        ("backup_damaged", lambda file: changed(file, {"store/reading.sql": b"ATTACH"})),
        ("log_corrupt", lambda file: changed(file, {}, "log/packets_1.sqlite.gz")),
        (
            "file_unreadable",
            lambda file: changed(file, {"insights.sqlite.gz": gzip.compress(b"no database" * 999)}),
        ),
    ],
    ids=["cut", "foreign", "no catalogue", "half a store", "a hole", "no database"],
)
def test_a_backup_that_is_refused_leaves_no_folder(
    shell: Shell,
    packets: int,
    file: Path,
    elsewhere: Shell,
    code: str,
    spoil: Callable[[Path], None],
) -> None:
    """Half a restore would be taken for a whole one by whoever starts a server on it."""
    assert packets
    shell("backup", str(file))
    spoil(file)
    assert code_of(elsewhere("restore", str(file))) == code
    assert not elsewhere.folder.exists()
    assert not list(elsewhere.folder.parent.iterdir())


def test_a_folder_of_a_later_version_is_not_restored_by_an_older_one(
    shell: Shell, packets: int, file: Path, elsewhere: Shell
) -> None:
    """A backup changes nothing in the folder, whoever wrote it; a restore must understand it."""
    assert packets
    connection = sqlite3.connect(shell.folder / "catalog.sqlite")
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    assert shell("backup", str(file)).refusal is None
    assert code_of(elsewhere("restore", str(file))) == "catalog_newer"
    assert not elsewhere.folder.exists()


@contextmanager
def nobody(folder: Path) -> Iterator[None]:
    """Be a user who may not read a folder."""
    if os.geteuid() == 0:
        os.seteuid(65_534)
    else:
        folder.chmod(0)
    try:
        yield
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        else:
            folder.chmod(0o700)


def test_who_may_not_read_the_folder_is_told_so(
    shell: Shell, packets: int, file: Path, elsewhere: Shell
) -> None:
    """A cron job of the wrong user ends with a sentence, and leaves nothing."""
    assert packets
    shell("backup", str(file))
    elsewhere.folder.mkdir(parents=True)
    with nobody(shell.folder):
        code = code_of(shell("backup", str(file.with_name("c.tar"))))
    assert code == "folder_unusable"
    with nobody(elsewhere.folder):
        code = code_of(elsewhere("restore", str(file)))
    assert code in ("folder_unusable", "file_unreadable")
    assert [path.name for path in file.parent.iterdir()] == ["b.tar"]
    assert not list(elsewhere.folder.iterdir())


def test_a_full_disk_is_named_before_and_during_a_backup(
    shell: Shell, packets: int, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packets must find room: a backup on the same disk leaves some."""
    assert packets
    free = iter([backup_made.SPARE_BYTES // 2])
    monkeypatch.setattr(backup_made, "free_bytes", lambda _folder: next(free))
    assert code_of(shell("backup", str(file))) == "file_unusable"
    monkeypatch.setattr("kilowatch.backup.writing.SYNC_BYTES", 1_000)
    free = iter([1 << 40, 1 << 40, *[1 << 40] * 3, 5_000])
    assert code_of(shell("backup", str(file))) == "file_unusable"
    assert not list(file.parent.iterdir())
    assert not (shell.folder / "backup").exists()


def test_a_file_goes_where_it_may_and_nowhere_else(
    shell: Shell, packets: int, file: Path, tmp_path: Path
) -> None:
    """Not in place of another, not into what it is a backup of; and asking makes nothing."""
    assert packets
    assert shell("backup", str(file)).refusal is None
    first = file.read_bytes()
    assert code_of(shell("backup", str(file))) == "file_exists"
    assert code_of(shell("backup", str(file.parent))) == "file_exists"
    assert file.read_bytes() == first
    assert shell("backup", str(file), "--overwrite").refusal is None
    assert file.read_bytes() != first
    inside = shell.folder / "backups" / "b.tar"
    assert code_of(shell("backup", str(inside))) == "file_in_folder"
    (tmp_path / "link").symlink_to(shell.folder)
    assert code_of(shell("backup", str(tmp_path / "link" / "b.tar"))) == "file_in_folder"
    assert code_of(shell("backup", str(tmp_path / "none" / "b.tar"))) == "file_unusable"
    nobody_here = Shell(tmp_path / "empty")
    assert code_of(nobody_here("backup", str(tmp_path / "c.tar"))) == "nothing_to_back_up"
    assert not (tmp_path / "empty").exists()


def test_a_folder_whose_pipeline_begins_anew_is_backed_up(
    shell: Shell, packets: int, file: Path, elsewhere: Shell
) -> None:
    """Who removed the pipeline's file gets every figure made again, from a backup too."""
    log = Pushing(DataFolder(shell.folder).log, segment_rows=20, retention_ms=-1, upkeep_s=0.01)
    log.writer.release(40)
    for minute in range(packets, packets + 1_000):
        log.push_all([Push(1, minute, {"aP_1": 1.0})])
        if not copying.closed_segments(log.path) or copying.closed_segments(log.path)[0] > 1:
            break
    log.close()
    told = shell("backup", str(file), "--json").json
    assert told["log_packets"] < told["packets"]
    assert told["stored_seq"] == 0
    assert elsewhere("restore", str(file)).refusal is None


def test_two_backups_at_once_are_one_too_many(shell: Shell, packets: int, file: Path) -> None:
    """The second one says so; the first one is not disturbed."""
    assert packets
    with (shell.folder / "backup.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert code_of(shell("backup", str(file))) == "backup_running"
    assert shell("backup", str(file)).refusal is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to somebody else")
@pytest.mark.parametrize("has_run", [True, False])
def test_what_root_sets_aside_belongs_to_the_folders_owner(
    shell: Shell, packets: int, has_run: bool
) -> None:
    """A backup that root made once, even one that was killed, is in nobody's way."""
    assert packets
    folder = DataFolder(shell.folder)
    part = folder.store / "store" / "abc" / STORED / "all_1_1_0"
    if has_run:
        (part / "inner.proj").mkdir(parents=True)
        (part / "data.bin").write_bytes(b"x")
        (folder.store / "metadata" / "default").mkdir(parents=True)
        (folder.store / "metadata" / "default" / "reading.sql").write_text(f"UUID '{STORED}'")
    for path in (folder.root, *folder.root.rglob("*")):
        os.chown(path, 65_534, 65_534)
    with only_backup(folder), standing_still(folder):
        there = freezing.frozen(folder.store) / part.relative_to(folder.store)
        assert there.is_dir() == has_run
        assert (folder.root / "backup.lock").stat().st_mode & 0o777 == 0o600
        made = [folder.backup, *(p for p in folder.root.rglob("*") if p.parent != folder.backup)]
        assert not [path for path in made if path.stat().st_uid != 65_534]
    left = [path for path in folder.root.rglob("*") if path.stat().st_uid != 65_534]
    assert not left, "whoever runs the server can do it again"


def test_a_lock_that_leads_elsewhere_is_not_followed(
    shell: Shell, packets: int, file: Path, tmp_path: Path
) -> None:
    """Root must not be made to give somebody else's file away, or to make one elsewhere."""
    assert packets
    (shell.folder / "backup.lock").symlink_to(tmp_path / "elsewhere.conf")
    assert code_of(shell("backup", str(file))) == "folder_full"
    assert not (tmp_path / "elsewhere.conf").exists()


def test_what_a_killed_platform_leaves_goes_with_the_backup(
    shell: Shell, packets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start finds the backup running and clears up nothing, so the command does."""
    assert packets
    folder = DataFolder(shell.folder)

    def asked(_folder: DataFolder, _stack: object) -> bool:
        freezing.link_parts(folder.store)
        folder.backup.mkdir()
        return True

    monkeypatch.setattr(backup_source, "_asked", asked)
    with only_backup(folder), standing_still(folder):
        assert freezing.frozen(folder.store).exists()
    assert not freezing.frozen(folder.store).exists()
    assert not folder.backup.exists()


def test_what_a_restored_server_needs_besides_is_said(
    shell: Shell, acme: dict[str, Any], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that comes from elsewhere, and a certificate of one's own, are not in the folder."""
    assert acme
    (shell.folder / "secret.key").unlink(missing_ok=True)
    toml = 'tls_certificate = "/etc/ssl/our.pem"\ntls_key = "/etc/ssl/our.key"\n'
    (shell.folder / "kilowatch.toml").write_text(toml)
    monkeypatch.setenv("KILOWATCH_SECRET_KEY", "ab" * 32)
    missing = shell("backup", str(file), "--json").json["missing"]
    assert [("key" in one, "our.pem" in one) for one in missing] == [(True, False), (True, True)]
    assert "Not in it" in shell("restore", "--check", str(file)).text
