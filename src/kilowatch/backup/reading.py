"""A backup while it is read: every name, length and sum is looked at, and nothing is believed."""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import msgspec

from kilowatch.backup.contents import (
    FORMAT,
    HEAD,
    MANIFEST,
    PACKED,
    SUM,
    Head,
    Manifest,
    Member,
    damaged,
    plain_name,
)
from kilowatch.backup.copies import PIECE_BYTES
from kilowatch.model.errors import KilowatchError

MANIFEST_BYTES_MAX: Final = 256 << 20  # a million files

Take = Callable[[str, Iterator[bytes]], None]
"""Gets each file's name and its pieces, before their sum is known."""


def read(
    path: Path,
    name: str = "",
    take: Take | None = None,
    room: Callable[[int], None] = lambda _bytes: None,
) -> Manifest:
    """Read a backup from its beginning to its end.

    Args:
        path: The file.
        name: What to call it; its path unless given.
        take: Gets each file but head and manifest; what it made of them holds only when this
            returns.
        room: Told what it needs unpacked, about [bytes]; raises where there is less.

    Returns:
        What the backup says of itself; every sum was right.

    Raises:
        KilowatchError: ``file_unreadable``, ``not_a_backup``, ``backup_newer`` or
            ``backup_damaged``.
    """
    name = name or str(path)
    try:
        with path.open("rb") as source:
            return _Reading(source, name).whole(take or _pass, room)
    except FileNotFoundError:
        raise KilowatchError("file_unreadable", f"{name} does not exist.", status=404) from None
    except IsADirectoryError:
        raise foreign(name) from None
    except PermissionError as error:
        raise KilowatchError(
            "file_unreadable", f"{name} can't be read: {error.strerror}."
        ) from None


def unpack(into: Path, keep_packed: Callable[[str], bool]) -> Take:
    """Return what writes files into a folder, each for its owner only.

    Args:
        into: The folder; it is there.
        keep_packed: Whether a compressed file of that name stays so.

    Raises:
        OSError: The folder can't be written, or a name comes twice.
    """

    def take(name: str, pieces: Iterator[bytes]) -> None:
        packed = name.endswith(PACKED) and not keep_packed(name)
        path = into / (name.removesuffix(PACKED) if packed else name)
        _make(path.parent)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "wb") as out:
            for piece in _unpacked(pieces) if packed else pieces:
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())

    return take


def _make(folder: Path) -> None:
    """Make a folder and those above it, each for its owner only whatever the umask is."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700)


def _unpacked(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress in pieces: a crafted one must not be a thousand times as long in memory."""
    unpacker = zlib.decompressobj(wbits=31)
    for piece in pieces:
        rest = piece
        while rest and not unpacker.eof:
            yield unpacker.decompress(rest, PIECE_BYTES)
            rest = unpacker.unconsumed_tail
    yield unpacker.flush()
    if not unpacker.eof:
        raise zlib.error("it ends too early")


def foreign(name: str) -> KilowatchError:
    """Return the refusal of a file that no ``kilowatch backup`` has written."""
    return KilowatchError(
        "not_a_backup",
        f"{name} is not a backup of Kilowatch.",
        remedy="Name a file that `kilowatch backup` has written.",
    )


class _Reading:
    """One pass over a file.

    Args:
        source: The file.
        name: What to call it.
    """

    def __init__(self, source: IO[bytes], name: str) -> None:
        self._source, self._name = source, name
        self._members: list[Member] = []
        self._seen = {HEAD}

    def whole(self, take: Take, room: Callable[[int], None]) -> Manifest:
        """Read to the end and compare."""
        try:
            with tarfile.open(fileobj=self._source, mode="r:") as tar:
                self._tar = tar
                self._check_head()
                room(self.head.unpacked_bytes)
                content = self._files(take)
                return self._compared(content)
        except (tarfile.TarError, EOFError, zlib.error, UnicodeDecodeError) as error:
            if not self._members:
                raise foreign(self._name) from error
            raise damaged(self._name, str(error) or "it ends too early") from error

    def _check_head(self) -> None:
        info = self._tar.next()
        if info is None or info.name != HEAD or not info.isreg() or info.size > PIECE_BYTES:
            raise foreign(self._name)
        content = b"".join(self._pieces(info))
        try:
            said = msgspec.json.decode(content)
            written_by = int(said["format"])
        except (msgspec.DecodeError, TypeError, KeyError, ValueError) as error:
            raise damaged(self._name, "its head can't be read") from error
        if written_by > FORMAT:
            raise KilowatchError(
                "backup_newer",
                f"{self._name} was written by Kilowatch {said.get('kilowatch', 'of a later time')},"
                " whose backups this version can't read.",
                remedy="Restore it with that version or a later one.",
            )
        try:
            self.head = msgspec.convert(said, Head)
        except msgspec.ValidationError as error:
            raise damaged(self._name, f"its head can't be read: {error}") from error

    def _files(self, take: Take) -> bytes:
        """Read every file up to the manifest, and return that one."""
        while True:
            info = self._next()
            if info.name == MANIFEST:
                if info.size > MANIFEST_BYTES_MAX:
                    raise damaged(self._name, "its manifest is too long")
                return b"".join(self._pieces(info))
            pieces = self._pieces(info)
            take(info.name, pieces)
            for _ in pieces:  # what was not wanted has a sum all the same
                pass

    def _compared(self, content: bytes) -> Manifest:
        del self._members[-1]  # the manifest does not hold itself
        expected = f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode()
        info = self._next()
        if info.name != SUM or b"".join(self._pieces(info)) != expected:
            raise damaged(self._name, "its manifest has another sum")
        if self._tar.next() is not None:
            raise damaged(self._name, "something follows its end")
        try:
            manifest = msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError as error:
            raise damaged(self._name, f"its manifest can't be read: {error}") from error
        del self._members[-1]
        there = {member.name: member for member in self._members}
        for member in manifest.members:
            if there.pop(member.name, None) != member:
                raise damaged(self._name, f"{member.name} is not what was written")
        if there or manifest.head != self.head:
            raise damaged(self._name, f"{next(iter(there), HEAD)} was not written by the backup")
        return manifest

    def _next(self) -> tarfile.TarInfo:
        info = self._tar.next()
        self._tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them
        if info is None:
            raise damaged(self._name, "it ends too early")
        if not info.isreg() or not plain_name(info.name) or info.name in self._seen:
            raise damaged(self._name, f"it holds {info.name[:100]!r}, which no backup does")
        self._seen.add(info.name)
        return info

    def _pieces(self, info: tarfile.TarInfo) -> Iterator[bytes]:
        """Give the bytes of a file; after the last one its sum is noted."""
        source = self._tar.extractfile(info)
        assert source is not None
        total, left = hashlib.sha256(), info.size
        while left:
            piece = source.read(min(PIECE_BYTES, left))
            if not piece:
                raise damaged(self._name, "it ends too early")
            left -= len(piece)
            total.update(piece)
            yield piece
        self._members.append(Member(info.name, info.size, total.hexdigest()))


def _pass(_name: str, pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass
