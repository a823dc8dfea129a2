"""Keeping up with the catalogue: a new snapshot within a quarter of a second, off the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from kilowatch.catalog import credentials
from kilowatch.catalog import directory as directories
from kilowatch.catalog.credentials import Use
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.directory import Directory
from kilowatch.collector.settings import CollectorSettings

log = structlog.get_logger(__name__)


class Watch:
    """Polls the catalogue's revision and the maintenance file in a thread of its own.

    Args:
        settings: Environment, paths and times.
        catalog: Where the directory comes from.
        directory: The first snapshot.
        on_directory: Called on the loop with each new snapshot.
    """

    def __init__(
        self,
        settings: CollectorSettings,
        catalog: Catalog,
        directory: Directory,
        on_directory: Callable[[Directory], None],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._directory = directory
        self._on_directory = on_directory
        self._thread = ThreadPoolExecutor(1, "directory")
        self._looked_s = 0.0
        self._soon: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self.maintenance = read_maintenance(settings.maintenance_file)

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await asyncio.sleep(self._settings.directory_poll_s)
            await self._look()

    def soon(self) -> asyncio.Task[None]:
        """Look once more now, because somebody named what we do not know.

        Many askers share one look, and looks keep a distance, so that guessing names
        can't load the catalogue.
        """
        if self._soon is None or self._soon.done():
            self._soon = asyncio.get_running_loop().create_task(self._look_after_pause())
        return self._soon

    async def _look_after_pause(self) -> None:
        now_s = asyncio.get_running_loop().time()
        await asyncio.sleep(max(0.0, self._looked_s + self._settings.refresh_pause_s - now_s))
        await self._look()

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._looking:
            try:
                found, self.maintenance = await loop.run_in_executor(
                    self._thread, self._read, self._directory
                )
            except Exception:  # a catalogue that is busy or gone must not stop the packets
                log.exception("catalogue can't be read; going on with what we know")
                return
            finally:
                self._looked_s = loop.time()
            if found is not None:
                self._directory = found
                self._on_directory(found)

    def _read(self, known: Directory) -> tuple[Directory | None, str | None]:
        maintenance = read_maintenance(self._settings.maintenance_file)
        if self._catalog.revision() == known.revision:
            return None, maintenance
        found = directories.load(self._catalog, self._settings.environment, known)
        return found, maintenance

    async def report(self, used: dict[int, Use]) -> None:
        """Write when and from where credentials were last used."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, credentials.touch, self._catalog, used)
        except Exception:  # a nicety that must not stop anything
            log.exception("last use of credentials can't be written")

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def read_maintenance(path: Path) -> str | None:
    """Return the operator's reason while maintenance is on, else None."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()[:200]
    except FileNotFoundError:
        return None
    except OSError:
        return ""
