"""The data folder: one place for everything that a server keeps."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from kilowatch.model.errors import KilowatchError

DEFAULT = Path("kilowatch-data")
DEMO = Path("kilowatch-demo")

ROOM_B = 1 << 20  # a start writes less, but not much less

SOCKET_PATH_MAX = 100
"""A Unix socket's path holds 107 bytes on Linux and 103 on macOS; deeper folders get theirs
in the system's temporary folder."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths inside one server's data folder.

    Attributes:
        root: The folder itself; readable by its owner only.
    """

    root: Path

    RESTORING: ClassVar[str] = "restoring"
    """Inside the folder while a backup is restored into it, where it could not be beside it."""

    @property
    def catalog(self) -> Path:
        """The registry of organisations, data points, users and credentials."""
        return self.root / "catalog.sqlite"

    @property
    def log(self) -> Path:
        """The durable log of packets."""
        return self.root / "log" / "log.sqlite"

    @property
    def store(self) -> Path:
        """The columnar store's folder."""
        return self.root / "store"

    @property
    def pipeline(self) -> Path:
        """The pipeline's cursor and the state of each stream."""
        return self.root / "pipeline.sqlite"

    @property
    def silences(self) -> Path:
        """Streams that are silent, and the feed of what changed."""
        return self.root / "silences.sqlite"

    @property
    def insights(self) -> Path:
        """What was found out about use, and the models that said so."""
        return self.root / "insights.sqlite"

    @property
    def notify(self) -> Path:
        """Alerts, what was said about them, and every attempt to deliver it."""
        return self.root / "notify.sqlite"

    @property
    def tls(self) -> Path:
        """The folder of the certificate that is made at the first start."""
        return self.root / "tls"

    @property
    def addresses(self) -> Path:
        """Where the running server can be reached."""
        return self.root / "addresses.json"

    @property
    def control_socket(self) -> Path:
        """Where commands reach the platform."""
        return self._socket("control.sock")

    @property
    def collector_socket(self) -> Path:
        """Where platform and commands reach the collector."""
        return self._socket("collector.sock")

    def uptime(self, process: str) -> Path:
        """When a process was up: renewed while it lives."""
        return self.root / f"{process}.up.json"

    @property
    def maintenance(self) -> Path:
        """Present while pushes answer 503."""
        return self.root / "maintenance"

    @property
    def backup(self) -> Path:
        """What a backup that is being made has set aside."""
        return self.root / "backup"

    def _socket(self, name: str) -> Path:
        path = self.root.absolute() / name
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX:
            return path
        digest = hashlib.blake2b(os.fsencode(self.root.absolute()), digest_size=8).hexdigest()
        return Path(tempfile.gettempdir()) / f"kilowatch-{os.getuid()}-{digest}" / name

    def create(self) -> None:
        """Make the folder and what must exist before the first process starts.

        Raises:
            KilowatchError: ``folder_unusable`` if it can't be made or written;
                ``restore_unfinished`` if it holds half of a backup.
        """
        if (self.root / self.RESTORING).exists():
            raise KilowatchError(
                "restore_unfinished",
                f"A backup is being restored into {self.root}, or that was broken off.",
                status=409,
                remedy="Wait for it; or empty the folder, and restore again.",
            )
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
            self.log.parent.mkdir(mode=0o700, exist_ok=True)
            self._make_socket_folder()
        except OSError as error:
            raise _unusable(self.root, error) from None
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise _unusable(self.root, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    def _make_socket_folder(self) -> None:
        """Make the sockets' folder; outside the data folder it must be ours alone."""
        place = self.control_socket.parent
        place.mkdir(mode=0o700, exist_ok=True)
        there = place.lstat()
        if not stat.S_ISDIR(there.st_mode) or there.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, f"{place} belongs to somebody else")
        place.chmod(0o700)

    @contextmanager
    def answering_for_its_disk(self) -> Iterator[None]:
        """Turn whatever fails inside into a plain answer where a full disk is the reason.

        Raises:
            KilowatchError: ``folder_unusable``; what fails for another reason is raised as it is.
        """
        try:
            yield
        except KilowatchError:
            raise
        except Exception as error:
            trouble = self._trouble()
            if trouble is None:
                raise
            raise trouble from error

    def _trouble(self) -> KilowatchError | None:
        """Return why nothing can be written here; None if it can."""
        try:
            with tempfile.TemporaryFile(dir=self.root) as probe:
                probe.write(bytes(ROOM_B))
                probe.flush()
        except OSError as error:
            return _unusable(self.root, error)
        return None

    def read_addresses(self) -> dict[str, Any]:
        """Return what the server wrote about itself, empty before its first start."""
        try:
            addresses: dict[str, Any] = json.loads(self.addresses.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return {}
        return addresses

    def write_addresses(self, addresses: dict[str, Any]) -> None:
        """Write where the server can be reached, whole or not at all.

        Raises:
            KilowatchError: ``folder_unusable``.
        """
        whole = self.addresses.with_suffix(".new")
        try:
            whole.write_text(json.dumps(addresses, indent=1) + "\n", encoding="utf-8")
            whole.replace(self.addresses)
        except OSError as error:
            raise _unusable(self.root, error) from None


def _unusable(root: Path, error: OSError) -> KilowatchError:
    remedy = "Choose another one with --data, or give this user the right to write there."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        remedy = "Make room on its disk and start again: what was acknowledged is kept."
    return KilowatchError(
        "folder_unusable", f"The data folder {root} can't be used: {error.strerror}.", remedy=remedy
    )


def demo_beside(root: Path) -> str:
    """Return how to ask the demo, where somebody asked the default folder beside the demo's."""
    demo = root.parent / DEMO.name
    asked_for_it = root.name == DEFAULT.name and (demo / "catalog.sqlite").exists()
    return f" For the demo that is --data {DEMO.name}." if asked_for_it else ""
