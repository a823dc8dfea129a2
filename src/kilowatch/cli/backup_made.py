"""Making a backup: what is copied, in which order, and where it is set aside meanwhile.

What rests on something is copied first: alerts, silences, findings, figures; then the log, then the
catalogue. So no figure speaks of a packet that the log does not hold, and no packet of a data point
that nobody has registered; what is newer is what a start after a crash finds too.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import apsw

from kilowatch.backup import Archive, Contents, Head, Held, Manifest, check, compress
from kilowatch.backup.contents import FORMAT
from kilowatch.backup.writing import free_bytes
from kilowatch.catalog.secrets import KEY_FILE
from kilowatch.cli import settings as settings_module
from kilowatch.cli.backup_source import standing_still
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.standstill import broken, copied, no_room
from kilowatch.log import copying
from kilowatch.log.copying import Copied
from kilowatch.model.errors import KilowatchError
from kilowatch.store import freezing

SPARE_BYTES = 256 << 20
"""So much stays free on the data folder's disk: a backup must not be why pushes answer 503."""
PACKED_SHARE = 8
"""SQLite files shrink to an eighth of their size or less: so much room is the least they need."""
SMALL = ("kilowatch.toml", "collector.up.json", "platform.up.json")
COUNT = 'SELECT count(*) FROM "{}"'


class Making:
    """One backup while it is made.

    Args:
        folder: The data folder.
        path: Where the file goes.
        began_ms: When it began [ms since 1970, UTC].
        overwrite: Whether it may replace a file.
        verify: Whether it is read back.
    """

    def __init__(
        self, folder: DataFolder, path: Path, began_ms: int, *, overwrite: bool, verify: bool
    ) -> None:
        self._folder, self._path, self._began_ms = folder, path, began_ms
        self._overwrite, self._verify = overwrite, verify
        self._same_disk = False
        self._tell: Callable[[str], None] = lambda _words: None
        self._doing = ""

    def run(self, tell: Callable[[str], None]) -> Manifest:
        """Make it; ``tell`` hears what is being done, and how far it is."""
        self._tell = tell
        folder = self._folder
        sizes = _sizes(folder)
        head = Head(FORMAT, version("kilowatch"), self._began_ms, sum(sizes.values()))
        self._check_room(sizes)
        with Archive(
            self._path, head, overwrite=self._overwrite, spare=self._check_spare
        ) as archive:
            self._do("waiting for the pipeline to stand still")
            with standing_still(folder):
                self._do("figures")
                self._add_small(archive)
                try:
                    for name, path in freezing.members(folder.store):
                        archive.add_file(f"store/{name}", path)
                except FileNotFoundError as error:
                    raise broken() from error
                for name in copied(folder):
                    self._add_sqlite(archive, folder.backup / name)
                copied(folder)  # all of it was there to the end
                stored_seq = self._stored_seq  # None: a start makes all of it from the readings
                self._do("packets")
                log = self._add_log(archive)
                if stored_seq is not None and not log.first_seq - 1 <= stored_seq <= log.last_seq:
                    raise broken()  # the log lacks what the copied store rests on, or needs
                self._do("catalogue")
                counts = self._add_catalogue(archive)
            contents = Contents(
                *counts, log.accepted, log.packets, log.last_seq, stored_seq or 0,
                log.last_received_ms, self._missing(),
            )  # fmt: skip
            self._do("reading it back")
            return archive.finish(contents, time.time_ns() // 1_000_000, verify=self._verify)

    def _check_room(self, sizes: dict[str, int]) -> None:
        """Refuse what can't fit before anything is written.

        Raises:
            KilowatchError: ``file_unusable`` or ``folder_full``.
        """
        if not self._path.parent.is_dir():
            return  # the archive says so
        copies = sum(size for name, size in sizes.items() if name not in ("store", "log"))
        least = sizes["store"] + (copies + sizes["log"]) // PACKED_SHARE
        here, there = self._folder.root.stat().st_dev, self._path.parent.stat().st_dev
        self._same_disk = here == there
        free = free_bytes(self._path.parent)
        if free < least + (SPARE_BYTES + copies if self._same_disk else 0):
            raise full(self._path, least, free)
        if free_bytes(self._folder.root) < copies + SPARE_BYTES:
            raise no_room(self._folder, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def _do(self, words: str) -> None:
        self._doing = words
        self._tell(words)

    def _check_spare(self, size: int) -> None:
        self._tell(f"{self._doing}, {size / 1e6:,.0f} MB written")
        if self._same_disk and (free := free_bytes(self._folder.root)) < SPARE_BYTES:
            raise full(self._path, SPARE_BYTES, free)

    def _add_small(self, archive: Archive) -> None:
        root = self._folder.root
        for name in (KEY_FILE, *SMALL):
            with suppress(FileNotFoundError):
                archive.add_bytes(name, (root / name).read_bytes())
        for path in sorted(self._folder.tls.glob("*.pem")):
            archive.add_bytes(f"tls/{path.name}", path.read_bytes())

    def _add_sqlite(self, archive: Archive, copy: Path, name: str = "") -> None:
        """Add a copy, compressed, and remove it."""
        if not copy.exists():
            raise broken()
        if copy.name == self._folder.pipeline.name:
            self._stored_seq = _number(copy, "SELECT max(seq) FROM cursor")
        check(copy, name or copy.name)
        try:
            packed = compress(copy)
            archive.add_file(f"{name or copy.name}.gz", packed)
            packed.unlink()
        except FileNotFoundError as error:
            raise broken() from error
        except OSError as error:
            raise no_room(self._folder, error) from error

    _stored_seq: int | None = None

    def _add_log(self, archive: Archive) -> Copied:
        log, into = self._folder.log, self._folder.backup
        if not log.exists():
            return Copied(0, 0, 0, 0, None)
        done: set[int] = set()
        try:
            while new := [one for one in copying.closed_segments(log) if one not in done]:
                for first in new:
                    piece = into / f"packets_{first}.sqlite"
                    if copying.copy_segment(log, first, piece):
                        self._add_sqlite(archive, piece, f"log/{piece.name}")
                    done.add(first)
                    piece.unlink(missing_ok=True)
            rest = into / log.name
            held = copying.copy_rest(log, rest, done)
        except FileNotFoundError as error:
            raise broken() from error
        except OSError as error:
            raise no_room(self._folder, error) from error
        self._add_sqlite(archive, rest, f"log/{rest.name}")
        return held

    def _add_catalogue(self, archive: Archive) -> tuple[int, int, int]:
        copy = self._folder.backup / self._folder.catalog.name
        held = Held(self._folder.catalog)
        try:
            held.copy(copy)
        except OSError as error:
            raise no_room(self._folder, error) from error
        finally:
            held.close()
        counts = [
            _number(copy, COUNT.format(table)) for table in ("organisation", "data_point", "user")
        ]
        self._add_sqlite(archive, copy)
        return counts[0], counts[1], counts[2]

    def _missing(self) -> list[str]:
        """Say what a restored server needs and its backup does not hold."""
        folder = self._folder
        settings = settings_module.load(folder.root, {}, {})
        missing = []
        if not (folder.root / KEY_FILE).exists() and not settings.secret_key:
            missing.append("the server's key: it comes from KILOWATCH_SECRET_KEY or its file")
        if settings.tls_certificate:
            missing.append(f"the certificate {settings.tls_certificate} and its key")
        return missing


def _sizes(folder: DataFolder) -> dict[str, int]:
    """Return what there is to be copied [bytes]."""
    sizes = {"store": 0}
    for place, _, names in os.walk(folder.store / "store"):
        for name in names:
            with suppress(FileNotFoundError):
                sizes["store"] += os.stat(os.path.join(place, name)).st_size  # noqa: PTH116, PTH118 - tens of thousands
    files = (
        folder.log, folder.catalog, folder.pipeline, folder.silences, folder.insights, folder.notify
    )  # fmt: skip
    for path in files:
        with suppress(FileNotFoundError):
            sizes[path.stem] = path.stat().st_size
    return {"log": 0, **sizes}


def _number(path: Path, query: str) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        found: int | None = connection.execute(query).get
    except apsw.SQLError:
        return 0  # a table that a later or earlier version has
    finally:
        connection.close()
    return found or 0


def full(path: Path, needed: int, free: int) -> KilowatchError:
    """Return that there is too little room for a backup."""
    return KilowatchError(
        "file_unusable",
        f"There is no room for {path}: it needs {needed / 1e6:,.0f} MB or more, and"
        f" {free / 1e6:,.0f} MB are free, of which {SPARE_BYTES / 1e6:,.0f} MB stay so where the"
        " data folder is on the same disk.",
        status=507,
        remedy="Make room, or name a file on another disk; nothing of this backup was kept.",
    )
