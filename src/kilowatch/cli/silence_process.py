"""The silence watch inside the platform: its thread, and its question to the collector."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx

from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.folder import DataFolder
from kilowatch.log import LogReader
from kilowatch.model.clock import Decision
from kilowatch.pipeline.silence_watch import SilenceWatch
from kilowatch.pipeline.silences import Silences
from kilowatch.pipeline.streams import Streams

ASK_S_MAX = 1.0  # a collector that does not answer so long takes no packets either


class Listening:
    """Finds silences until it is stopped; independent of pipeline and store.

    Args:
        folder: The data folder.
        watch: The registered data points.
        streams: What the pipeline knows of each stream's clock.

    Attributes:
        silences: What is silent, and the feed of changes.
    """

    def __init__(self, folder: DataFolder, watch: DirectoryWatch, streams: Streams) -> None:
        self.silences = Silences(folder.silences, now_ms())
        self._log = LogReader(folder.log)  # its own: it waits for no page
        self._collector = CollectorState(folder.collector_socket)

        def decision_of(series: int) -> Decision:
            state = streams.states.get(series)
            decision: Decision = state.witness["decision"] if state else "undecided"
            return decision

        self.watch = SilenceWatch(
            log=self._log,
            silences=self.silences,
            points=watch.now,
            accepting_since=self._collector.accepting_since,
            decision_of=decision_of,
            now_ms=now_ms,
            on_change=streams.hub.publish,
        )
        self._thread = threading.Thread(target=self.watch.run, name="silences", daemon=True)

    def start(self) -> None:
        """Begin to listen, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Note what was heard, and let go of the files."""
        self.watch.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self._collector.close()
        self._log.close()
        self.silences.close()


class CollectorState:
    """Asks the collector whether it takes packets.

    Args:
        socket: Path of its socket.
    """

    def __init__(self, socket: Path) -> None:
        self._client = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)),
            base_url="http://collector",
            timeout=ASK_S_MAX,
            trust_env=False,
        )

    def accepting_since(self) -> int | None:
        """Return since when packets are taken [ms since 1970, UTC]; None while they are not."""
        try:
            answer = self._client.get("/status")
            answer.raise_for_status()
            since_ms: int | None = answer.json().get("accepting_since_ms")
        except (httpx.HTTPError, ValueError):
            return None
        return since_ms

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def now_ms() -> int:
    """Return the wall clock [ms since 1970, UTC]."""
    return time.time_ns() // 1_000_000
