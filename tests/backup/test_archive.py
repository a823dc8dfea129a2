"""The file of a backup: what was put in comes out, and what is changed or made up is refused."""

from __future__ import annotations

import fcntl
import gzip
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.backup import Archive, Contents, Head, Manifest, read, reading, unpack
from kilowatch.backup.contents import FORMAT, HEAD
from kilowatch.backup.copies import PIECE_BYTES
from kilowatch.model.errors import KilowatchError

NOW_MS = 1_795_435_200_000
CONTENTS = Contents(1, 3, 1, 40, 40, 40, 38, NOW_MS, [])
FILES = {
    "secret.key": bytes(range(32)),
    "store/reading/all_1_1_0/data.bin": os.urandom(5_000),
    "catalog.sqlite.gz": gzip.compress(b"SQLite format 3\0" + bytes(20_000)),
    "log/packets_1.sqlite.gz": gzip.compress(b"left as it is"),
}


def head(**changed: object) -> Head:
    """Return a first file."""
    return msgspec.structs.replace(Head(FORMAT, "1.0", NOW_MS, 30_000), **changed)


def written(path: Path, files: dict[str, bytes] | None = None, **changed: object) -> Path:
    """Write a backup of some files."""
    with Archive(path, head(**changed)) as archive:
        for name, content in (files or FILES).items():
            archive.add_bytes(name, content)
        archive.finish(CONTENTS, NOW_MS, verify=False)
    return path


def unpacked(path: Path, into: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Unpack a backup and return what it says and what became of it."""
    into.mkdir()
    manifest = read(path, take=unpack(into, lambda name: name.startswith("log/packets_")))
    found = {
        file.relative_to(into).as_posix(): file.read_bytes()
        for file in into.rglob("*")
        if file.is_file()
    }
    assert all(stat.S_IMODE(file.stat().st_mode) & 0o077 == 0 for file in into.rglob("*"))
    return manifest, found


def as_unpacked() -> dict[str, bytes]:
    """Return what the files are once they are unpacked."""
    rest = {name: content for name, content in FILES.items() if name != "catalog.sqlite.gz"}
    return rest | {"catalog.sqlite": gzip.decompress(FILES["catalog.sqlite.gz"])}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a backup."""
    return written(tmp_path_factory.mktemp("whole") / "b.tar").read_bytes()


def refused(path: Path, into: Path | None = None) -> str:
    """Return the code with which a file is refused."""
    with pytest.raises(KilowatchError) as refusal:
        read(path) if into is None else unpacked(path, into)
    assert refusal.value.detail
    return refusal.value.code


def test_what_was_put_in_comes_out_for_its_owner_only(tmp_path: Path) -> None:
    """A backup holds keys: neither it nor what is unpacked is anybody else's to read."""
    path = written(tmp_path / "b.tar")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["b.tar"], "no draft is left"
    manifest, found = unpacked(path, tmp_path / "out")
    assert found == as_unpacked()
    assert (manifest.contents, manifest.head) == (CONTENTS, head())
    assert [member.name for member in manifest.members] == [HEAD, *FILES]


def test_what_was_packed_small_is_unpacked_in_small_pieces() -> None:
    """A megabyte that stands for a gigabyte must not need a gigabyte of memory."""
    content = bytes(64 << 20)
    packed = gzip.compress(content, 1) + b"what follows its end is not looked at"
    pieces = list(reading._unpacked(iter([packed[:100], packed[100:], b"nor this"])))
    assert max(map(len, pieces)) <= PIECE_BYTES
    assert b"".join(pieces) == content
    with pytest.raises(zlib.error):
        list(reading._unpacked(iter([gzip.compress(content)[:-9]])))


def test_any_tool_for_tar_files_can_read_it(tmp_path: Path) -> None:
    """Who has lost this program has not lost the data."""
    with tarfile.open(written(tmp_path / "b.tar")) as tar:
        names = tar.getnames()
        assert names == [HEAD, *FILES, "manifest.json", "manifest.sha256"]
        held = tar.extractfile("secret.key")
        assert held is not None
        assert held.read() == FILES["secret.key"]


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, place: float, bit: int
) -> None:
    """Only what pads the file may be changed without being noticed, for it says nothing."""
    folder = tmp_path_factory.mktemp("flip")
    changed = bytearray(whole)
    changed[int(place * len(whole))] ^= 1 << bit
    (folder / "b.tar").write_bytes(changed)
    found, code = as_unpacked(), "backup_damaged"
    try:
        _, found = unpacked(folder / "b.tar", folder / "out")
    except KilowatchError as error:
        code = error.code
    assert found == as_unpacked()
    assert code in ("backup_damaged", "not_a_backup", "backup_newer")


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_was_cut_off_is_refused(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    """A copy that broke off is no backup; what only pads the end may be missing."""
    folder = tmp_path_factory.mktemp("cut")
    ends = whole.rindex(b"manifest.json\n") + len(b"manifest.json\n")
    (folder / "b.tar").write_bytes(whole[: int(share * ends)])
    assert refused(folder / "b.tar") in ("backup_damaged", "not_a_backup")


def test_what_is_no_backup_is_called_so(tmp_path: Path) -> None:
    """A spreadsheet, an empty file or somebody else's archive is not half restored."""
    other = tmp_path / "other"
    for content in (b"", b"PK\3\4" + bytes(2_000), os.urandom(20_000), bytes(10_240)):
        other.write_bytes(content)
        assert refused(other) == "not_a_backup"
    with tarfile.open(other, "w") as tar:
        tar.addfile(tarfile.TarInfo("readme"))
    assert refused(other) == "not_a_backup"
    assert refused(tmp_path) == "not_a_backup"
    assert refused(tmp_path / "none") == "file_unreadable"


def test_a_backup_of_a_later_version_is_named_with_it(tmp_path: Path) -> None:
    """Who restores with an old program learns which one to take."""
    path = written(tmp_path / "b.tar", format=FORMAT + 1, kilowatch="7.1")
    with pytest.raises(KilowatchError, match=r"Kilowatch 7\.1") as refusal:
        read(path)
    assert refusal.value.code == "backup_newer"


def crafted(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write a tar that begins as a backup does."""
    first = tarfile.TarInfo(HEAD)
    content = msgspec.json.encode(head()) + b"\n"
    first.size = len(content)
    with tarfile.open(path, "w") as tar:
        tar.addfile(first, io.BytesIO(content))
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def linked(name: str, kind: bytes, target: str) -> tarfile.TarInfo:
    """Return a member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "info",
    [
        *(tarfile.TarInfo(name) for name in ("../out.txt", "/etc/out", "a/../../out", "./a", ".a")),
        linked("store", tarfile.SYMTYPE, "/etc"),
        linked("store", tarfile.LNKTYPE, HEAD),
        linked("store", tarfile.CHRTYPE, ""),
        linked("store", tarfile.DIRTYPE, ""),
        tarfile.TarInfo(HEAD),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, info: tarfile.TarInfo) -> None:
    """Whoever can change a backup must not be able to write beside the folder."""
    path = crafted(tmp_path / "b.tar", (info, b""))
    assert refused(path, tmp_path / "out") == "backup_damaged"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.tar", "out"]
    assert not list((tmp_path / "out").iterdir())


def test_a_file_too_many_or_too_few_is_refused(tmp_path: Path) -> None:
    """The manifest names every file, and every file is in it."""
    path = written(tmp_path / "b.tar")
    with tarfile.open(path) as tar:
        held = [(info, tar.extractfile(info)) for info in tar]
        members = [(info, file.read()) for info, file in held if file is not None]
    extra = tarfile.TarInfo("kilowatch.toml")
    more = [*members[1:-2], (extra, b"host = '0.0.0.0'"), *members[-2:]]
    same = crafted(tmp_path / "same.tar", *members[1:])
    assert read(same).contents == CONTENTS, "made by hand, and right"
    assert refused(crafted(tmp_path / "more.tar", *more)) == "backup_damaged"
    assert refused(crafted(tmp_path / "less.tar", *members[2:])) == "backup_damaged"
    assert refused(crafted(tmp_path / "no_sum.tar", *members[1:-1])) == "backup_damaged"
    behind = [*members[1:], (extra, b"")]
    assert refused(crafted(tmp_path / "behind.tar", *behind)) == "backup_damaged"


def test_an_existing_file_stays_unless_it_may_be_replaced(tmp_path: Path) -> None:
    """Yesterday's backup is not lost because today's has its name."""
    path = tmp_path / "b.tar"
    path.write_bytes(b"yesterday")
    with pytest.raises(KilowatchError) as refusal:
        written(path)
    assert refusal.value.code == "file_exists"
    assert path.read_bytes() == b"yesterday"
    with Archive(path, head(), overwrite=True) as archive:
        assert path.read_bytes() == b"yesterday", "until it is whole"
        archive.finish(CONTENTS, NOW_MS)
    assert read(path).contents == CONTENTS


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Two that write the same name at once do not take it from each other."""
    path = tmp_path / "b.tar"
    archive = Archive(path, head())
    path.write_bytes(b"another")
    with pytest.raises(KilowatchError) as refusal, archive:
        archive.finish(CONTENTS, NOW_MS)
    assert refusal.value.code == "file_exists"
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("b.tar", b"another")
    ]


def test_what_fails_leaves_nothing_and_drafts_of_killed_ones_are_removed(tmp_path: Path) -> None:
    """The folder of the backups holds backups; one that is being written is left alone."""
    archive = Archive(tmp_path / "b.tar", head())
    archive.add_bytes("secret.key", b"x")
    archive.__exit__(None, None, None)
    assert not list(tmp_path.iterdir())
    killed = tmp_path / ".a.tar.1.kilowatch-part"
    alive = tmp_path / ".b.tar.2.kilowatch-part"
    other = tmp_path / ".c.part"
    for draft in (killed, alive, other):
        draft.write_bytes(b"half")
    with alive.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        written(tmp_path / "d.tar")
    assert sorted(file.name for file in tmp_path.iterdir()) == [alive.name, other.name, "d.tar"]


def test_what_the_disk_gives_back_otherwise_is_noticed_before_the_file_has_its_name(
    tmp_path: Path,
) -> None:
    """A bad disk is found on the evening of the backup, not on the morning after the fire."""
    archive = Archive(tmp_path / "b.tar", head())
    with archive:
        archive.add_bytes("secret.key", bytes(32))
        (draft,) = tmp_path.glob(".*")
        archive._sync()  # as it does every 16 MiB
        changed = bytearray(draft.read_bytes())
        changed[changed.rindex(b"secret.key") + 512] ^= 1
        with draft.open("r+b") as disk:
            disk.write(changed)
        with pytest.raises(KilowatchError) as refusal:
            archive.finish(CONTENTS, NOW_MS)
    assert refusal.value.code == "backup_damaged"
    assert not list(tmp_path.iterdir())


def test_a_file_that_becomes_shorter_while_it_is_added_ends_the_backup(tmp_path: Path) -> None:
    """What changes while it is copied must not be taken for what it was."""
    source = tmp_path / "source"
    source.write_bytes(bytes(10_000))
    folder = tmp_path / "backups"
    folder.mkdir()
    real: Callable[[int], os.stat_result] = os.fstat
    with pytest.MonkeyPatch.context() as patch, Archive(folder / "b.tar", head()) as archive:

        def longer(handle: int) -> os.stat_result:
            told = list(real(handle))
            told[6] += 5_000
            return os.stat_result(told)

        patch.setattr(os, "fstat", longer)
        with pytest.raises(KilowatchError) as refusal:
            archive.add_file("secret.key", source)
    assert refusal.value.code == "file_unusable"
    assert not list(folder.iterdir())
