"""A backup while it is written: under a name of its own, until it is whole."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self, cast

import msgspec

from kilowatch.backup.contents import (
    HEAD,
    MANIFEST,
    SUM,
    Contents,
    Head,
    Manifest,
    Member,
    plain_name,
)
from kilowatch.backup.copies import PIECE_BYTES
from kilowatch.backup.reading import read
from kilowatch.model.errors import KilowatchError

DRAFT: Final = ".kilowatch-part"
SYNC_BYTES: Final = 16 << 20
"""So much is written before it is put on the disk: a gigabyte that the system writes when it likes
would make every commit of the log wait for it."""


class Archive:
    """A backup that is being written; ``with`` removes what was not finished.

    Args:
        path: Where it shall be.
        head: Its first file.
        overwrite: Whether it may take the place of a file of that name.
        spare: Asked now and then with what has been written [bytes]; raises where that is too much.

    Raises:
        KilowatchError: ``file_exists``, or ``file_unusable``: the file can't be made.

    Attributes:
        size: What was written [bytes].
    """

    def __init__(
        self,
        path: Path,
        head: Head,
        *,
        overwrite: bool = False,
        spare: Callable[[int], None] = lambda _size: None,
    ) -> None:
        self._path, self._overwrite, self._spare = path, overwrite, spare
        self._head = head
        self._refuse_existing()
        self._draft = path.with_name(f".{path.name[:200]}.{os.getpid()}{DRAFT}")
        self.size = self._synced = 0
        self._members: list[Member] = []
        with self._answering():
            _sweep(path.parent)
            handle = os.open(self._draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            self._out: IO[bytes] = os.fdopen(handle, "wb")
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # says that somebody writes it
            self._tar: Any = tarfile.TarFile(  # closed by ``finish``; without it there is no end
                fileobj=cast("Any", self),
                mode="w",
                copybufsize=PIECE_BYTES,
            )
        self.add_bytes(HEAD, msgspec.json.encode(head) + b"\n")

    def __enter__(self) -> Self:
        """Begin; the end is ``finish``."""
        return self

    def __exit__(self, *_raised: object) -> None:
        """Remove what was not finished."""
        with suppress(OSError, tarfile.TarError):
            self._out.close()
        self._draft.unlink(missing_ok=True)

    def write(self, piece: bytes) -> int:
        """Take the next bytes of the tar; called by ``tarfile``."""
        written = self._out.write(piece)
        self.size += written
        if self.size - self._synced >= SYNC_BYTES:
            self._sync()
            self._spare(self.size)
        return written

    def tell(self) -> int:
        """Return how much was written [bytes]; called by ``tarfile``."""
        return self.size

    def add_bytes(self, name: str, content: bytes) -> None:
        """Add a small file."""
        self._add(name, len(content), io.BytesIO(content))

    def add_file(self, name: str, path: Path) -> None:
        """Add a file that nobody changes meanwhile.

        Raises:
            KilowatchError: ``file_unusable``: the backup can't be written.
            FileNotFoundError: The file is gone.
        """
        with path.open("rb") as source:
            self._add(name, os.fstat(source.fileno()).st_size, source)

    def finish(self, contents: Contents, finished_ms: int, *, verify: bool = True) -> Manifest:
        """Write the manifest, read everything back, and give the file its name.

        Args:
            contents: What a person wants to know.
            finished_ms: What time it is [ms since 1970, UTC].
            verify: Whether to read the file back.

        Raises:
            KilowatchError: ``file_unusable``, ``file_exists``, or ``backup_damaged``: the disk
                gives back something else than was written.
        """
        manifest = Manifest(self._head, finished_ms, contents, list(self._members))
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
        self.add_bytes(MANIFEST, content)
        self.add_bytes(SUM, f"{hashlib.sha256(content).hexdigest()}  {MANIFEST}\n".encode())
        with self._answering():
            self._tar.close()
            self._sync()
            if verify:
                with suppress(OSError, AttributeError):  # from the disk, not from what is cached
                    os.posix_fadvise(self._out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                read(self._draft, str(self._path))
            self._name()
        return manifest

    def _add(self, name: str, size: int, source: IO[bytes]) -> None:
        assert plain_name(name), name
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, self._head.created_ms // 1000
        passing = _Summed(source)
        with self._answering():
            self._tar.addfile(info, passing)
        self._tar.members.clear()  # it would keep all of them
        self._members.append(Member(name, size, passing.sum.hexdigest()))

    def _sync(self) -> None:
        self._out.flush()
        os.fsync(self._out.fileno())
        self._synced = self.size

    def _refuse_existing(self) -> None:
        if self._path.is_dir() or (self._path.exists() and not self._overwrite):
            raise _exists(self._path)

    def _name(self) -> None:
        """Give the draft its name: never in place of a file that must stay."""
        self._refuse_existing()
        if self._overwrite:
            self._draft.replace(self._path)
        else:
            try:
                os.link(self._draft, self._path)
            except FileExistsError:
                raise _exists(self._path) from None
            except OSError:  # a file system without links
                self._draft.rename(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise _unusable(self._path, "its folder does not exist") from error
        except OSError as error:
            raise _unusable(self._path, error.strerror or str(error), error.errno) from error


class _Summed:
    """What is read passes by its sum; a file that became shorter is not padded.

    Args:
        source: Where it is read from.
    """

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.sum: Any = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """Return the next bytes."""
        piece = self._source.read(size)
        self.sum.update(piece)
        return piece


def _sweep(folder: Path) -> None:
    """Remove the drafts of backups that were killed; one that is being written is locked."""
    for draft in folder.glob(f".*{DRAFT}"):
        with suppress(OSError):
            handle = os.open(draft, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                draft.unlink(missing_ok=True)
            finally:
                os.close(handle)


def free_bytes(folder: Path) -> int:
    """Return what is free where a folder is [bytes]."""
    return shutil.disk_usage(folder).free


def _exists(path: Path) -> KilowatchError:
    what = "is a folder" if path.is_dir() else "is there already"
    return KilowatchError(
        "file_exists",
        f"{path} {what}.",
        status=409,
        remedy="Name another file." if path.is_dir() else "Name another file, or add --overwrite.",
    )


def _unusable(path: Path, why: str, number: int | None = None) -> KilowatchError:
    full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return KilowatchError(
        "file_unusable",
        f"{path} can't be written: {why}.",
        remedy="Make room, or name a file on another disk; nothing of this backup was kept."
        if full
        else "Name a file in a folder that exists and that this user may write to.",
    )
