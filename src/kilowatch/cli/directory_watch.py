"""The platform's snapshot of the catalogue: always at hand, at most a moment old."""

from __future__ import annotations

import threading

import structlog

from kilowatch.catalog import Catalog, directory
from kilowatch.catalog.directory import Directory
from kilowatch.catalog.tables import Environment
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger("directory_watch")

POLL_S = 0.25  # a data point that is registered now is shown within a second


class DirectoryWatch:
    """Loads the directory whenever the catalogue's revision steps.

    Args:
        catalog: The registry, open.
        environment: ``development`` or ``production``.
    """

    def __init__(self, catalog: Catalog, environment: Environment) -> None:
        self._catalog = catalog
        self._environment = environment
        self._now = directory.load(catalog, environment)
        self._loading = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="directory", daemon=True)
        self._thread.start()

    def now(self) -> Directory:
        """Return the snapshot at hand, at once."""
        return self._now

    def reload(self) -> Directory:
        """Return a snapshot that is as new as the catalogue."""
        with self._loading:
            if self._catalog.revision() != self._now.revision:
                self._now = directory.load(self._catalog, self._environment, self._now)
            return self._now

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                self.reload()
            except KilowatchError as error:
                log.warning("catalogue could not be read", reason=error.detail)
