"""The insights inside the platform: their thread and what reads what they found."""

from __future__ import annotations

import threading

from kilowatch.cli.directory_watch import DirectoryWatch
from kilowatch.cli.folder import DataFolder
from kilowatch.pipeline.insight.follower import Follower
from kilowatch.pipeline.insight.view import InsightView
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.view import View


class Following:
    """Looks at hours as they become complete, until it is stopped.

    Args:
        folder: The data folder.
        watch: The registered data points.
        streams: How far each stream has come.
        view: The measurements.

    Attributes:
        follower: Who looks.
        view: What was found.
    """

    def __init__(
        self, folder: DataFolder, watch: DirectoryWatch, streams: Streams, view: View
    ) -> None:
        self.follower = Follower(view=view, streams=streams, points=watch.now, path=folder.insights)
        self.view = InsightView(folder.insights, lambda: self.follower.backlog)
        self._thread = threading.Thread(target=self.follower.run, name="insights", daemon=True)

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the look that is under way, and let go of the file."""
        self.follower.stop()
        if self._thread.ident is not None:
            self._thread.join()
        else:
            self.follower.close()
        self.view.close()
