"""What the platform writes, as it was at one moment: held still while a backup copies it.

Alerts rest on silences and findings, those on figures, and figures on packets. So what rests on
something is taken no later than that: all of these files within some milliseconds, between two
rounds of the pipeline. The log and the catalogue, which everything rests on, are taken after this
(``backup.py``). Whatever of them is newer is what a start after a crash finds too.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kilowatch.backup import Held
from kilowatch.cli.folder import DataFolder
from kilowatch.model.errors import KilowatchError
from kilowatch.store import freezing

Work = Callable[[], None]

STANDING = "standing.json"
"""In the backup's folder, the names of what was copied: while it is there, nothing was removed."""


class Standstill:
    """The platform's files at one moment.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: DataFolder) -> None:
        self._folder = folder
        self._held: dict[str, Held] = {}

    def take(self, between_writes: Callable[[Work], None], freeze: Work) -> None:
        """Hold everything as it is now.

        Args:
            between_writes: Does something while neither the store nor its cursor is written.
            freeze: Freezes the store.

        Raises:
            KilowatchError: A file can't be read.
        """
        clear(self._folder)
        for path in (self._folder.notify, self._folder.silences, self._folder.insights):
            self._hold(path)

        def together() -> None:
            self._hold(self._folder.pipeline)
            freeze()

        between_writes(together)

    def copy(self) -> None:
        """Copy the SQLite files into the backup's folder; what was held is let go of.

        Raises:
            KilowatchError: A file can't be read, or ``folder_full``: there is no room for a copy.
        """
        into = self._folder.backup
        try:
            for name, held in self._held.items():
                held.copy(into / name)
            (into / STANDING).write_text(json.dumps(list(self._held)), encoding="utf-8")
        except OSError as error:
            raise no_room(self._folder, error) from error
        self._let_go()

    def close(self) -> None:
        """Let go of everything, and remove copies and frozen files."""
        self._let_go()
        tidy(self._folder)

    def _hold(self, path: Path) -> None:
        if path.exists():
            self._held[path.name] = Held(path)

    def _let_go(self) -> None:
        while self._held:
            self._held.popitem()[1].close()


def clear(folder: DataFolder) -> None:
    """Make the folder of a backup's copies anew, and let go of frozen files.

    Raises:
        KilowatchError: ``folder_full``.
    """
    try:
        tidy(folder)
        folder.backup.mkdir(mode=0o700)
        freezing.hand_over(folder.backup, folder.root)
    except OSError as error:
        raise no_room(folder, error) from error


def tidy(folder: DataFolder) -> None:
    """Remove what a backup had set aside in the data folder.

    Raises:
        OSError: It can't be removed.
    """
    (folder.backup / STANDING).unlink(missing_ok=True)  # first: see ``copied``
    freezing.thaw(folder.store)
    shutil.rmtree(folder.backup, ignore_errors=True)


def copied(folder: DataFolder) -> list[str]:
    """Return the names of what was copied, if all of it and every frozen file are there still.

    Raises:
        KilowatchError: 503 ``backup_broken``.
    """
    try:
        names: list[str] = json.loads((folder.backup / STANDING).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise broken() from error
    return names


@contextmanager
def only_backup(folder: DataFolder) -> Iterator[None]:
    """Hold what says that a backup of this folder is being made.

    The lock belongs to the folder's owner whoever makes it: root's must not shut out those of the
    user that runs the server.

    Raises:
        KilowatchError: 409 ``backup_running``, or ``folder_full``.
    """
    with ExitStack() as stack:
        try:
            path = folder.root / "backup.lock"
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            stack.callback(os.close, lock)
            freezing.hand_over(path, folder.root)
        except OSError as error:
            raise no_room(folder, error) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise KilowatchError(
                "backup_running",
                f"A backup of {folder.root} is being made already.",
                status=409,
                remedy="Wait until it has ended.",
                retry_helps=True,
            ) from None
        yield


def no_room(folder: DataFolder, error: OSError) -> KilowatchError:
    """Return why a backup could not set something aside in the data folder."""
    return KilowatchError(
        "folder_full",
        f"The backup can't set anything aside in {folder.root}: {error.strerror or error}.",
        status=507,
        remedy="It needs room on that disk for a moment, and the rights of the user that runs the"
        " server; nothing of this backup was kept.",
        retry_helps=True,
    )


def broken() -> KilowatchError:
    """Return that the platform ended or was started again in the middle of a backup, or let go."""
    return KilowatchError(
        "backup_broken",
        "The platform ended, or did not wait any longer, before everything was copied.",
        status=503,
        remedy="Try again; `kilowatch status` tells how it is. Nothing of this backup was kept.",
        retry_helps=True,
    )
