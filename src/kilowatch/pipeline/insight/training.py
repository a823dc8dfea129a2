"""When the forecasting model is trained, and handing it what it learns from.

Training runs in a process of its own, started afresh and nice to the others. It gets files, since
the store can be open in one process only, and gives back a file. A model makes the forecasts of
the midnights that nobody has looked at when it is ready; which one made which is kept, so that a
replay asks the same one.
"""

from __future__ import annotations

import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import structlog

from kilowatch.insights.forecasting import Model, WrongModelError
from kilowatch.insights.forecasting.training import STREAMS_MIN
from kilowatch.model.lengths import DAY_MS, HOUR_MS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.insight.file import InsightFile
from kilowatch.pipeline.insight.models import is_new
from kilowatch.pipeline.insight.records import Kept
from kilowatch.pipeline.insight.subjects import Subject
from kilowatch.pipeline.insight.surroundings import Surroundings

logger = structlog.get_logger("insights")

STREAMS_MAX = 300
"""More streams add nothing that a sample of so many does not have."""
DAYS_MAX = 400
EVERY_MS = 7 * DAY_MS
AT_A_TIME = 50
BASE = "base.model"
"""The installation's last model, which learns on; without it the shipped one does."""


class Training:
    """Starts training when it is time, and takes in what it gives.

    Args:
        file: Where models are kept.
        surroundings: Reads hours.
        clock: Seconds that never go back.
        again_s: Least time between two trainings, so that a replayed year is not one training
            after the other [s].
    """

    def __init__(
        self,
        file: InsightFile,
        surroundings: Surroundings,
        clock: Callable[[], float],
        again_s: float = 3_600.0,
    ) -> None:
        self._file = file
        self._surroundings = surroundings
        self._clock = clock
        self._again_s = again_s
        self._folder = file.path.with_name("training")
        self._process: subprocess.Popen[bytes] | None = None
        self._began_s = clock() - (again_s if math.isfinite(again_s) else 0.0)
        self._readable: dict[str, bool] = {}
        self.fault = ""

    @property
    def running(self) -> bool:
        """Whether a model is being trained."""
        return self._process is not None

    def tick(self, kept: Mapping[int, Kept], subjects: Mapping[int, Subject]) -> bool:
        """Look once; returns whether there is a new model.

        Args:
            kept: How far each stream is.
            subjects: The streams that are looked at.

        Raises:
            KilowatchError: 503 from the store.
        """
        frontier_ms = max((one.cursor_ms for one in kept.values()), default=0)
        if self._process is not None:
            if self._process.poll() is None:
                return False
            return self._take_in(frontier_ms)
        if self._clock() - self._began_s < self._again_s:
            return False
        models = self._file.models()
        if models and frontier_ms < models[-1][0] + EVERY_MS and self._reads(models[-1][1]):
            return False
        able = [
            series
            for series, one in kept.items()
            if not is_new(one.birth_ms, one.cursor_ms)
            and series in subjects
            and subjects[series].is_amount
        ]
        if len(able) >= STREAMS_MIN:
            self._start(able, kept, subjects, frontier_ms)
        return False

    def _reads(self, version: str) -> bool:
        """Whether this version of the program reads a model: after an update it may not."""
        if version not in self._readable:
            try:
                Model.from_bytes(self._file.model(version))
            except WrongModelError:
                self._readable[version] = False
            else:
                self._readable[version] = True
        return self._readable[version]

    def stop(self) -> None:
        """End a training that is under way: the next start begins it again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(
        self,
        able: list[int],
        kept: Mapping[int, Kept],
        subjects: Mapping[int, Subject],
        frontier_ms: int,
    ) -> None:
        self._began_s = self._clock()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        step = max(len(able) // STREAMS_MAX, 1)
        chosen = sorted(able)[::step][:STREAMS_MAX]
        by_zone: dict[str, list[int]] = {}
        for series in chosen:
            by_zone.setdefault(kept[series].zone, []).append(series)
        number = 0
        for name, own in sorted(by_zone.items()):
            for first in range(0, len(own), AT_A_TIME):
                part = own[first : first + AT_A_TIME]
                self._hand_over(number, name, [subjects[s] for s in part], [kept[s] for s in part])
                number += 1
        models = self._file.models()
        if models and self._reads(models[-1][1]):
            (self._folder / BASE).write_bytes(self._file.model(models[-1][1]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kilowatch.pipeline.insight.training_process", self._folder],
            stdin=subprocess.PIPE,  # it ends when we do
        )
        logger.info("insights.training", streams=len(chosen), until_ms=frontier_ms)

    def _hand_over(
        self, number: int, zone: str, subjects: Sequence[Subject], kept: Sequence[Kept]
    ) -> None:
        until_ms = max(one.cursor_ms for one in kept)
        first_ms = max(min(one.birth_ms for one in kept), until_ms - DAYS_MAX * DAY_MS)
        hours = self._surroundings.hours(subjects, Zone.of(zone), first_ms, until_ms, until_ms)
        values = self._surroundings.sound(subjects, hours).values.copy()
        for row, one in enumerate(kept):  # nothing that was not looked at
            values[row, max((one.cursor_ms - first_ms) // HOUR_MS, 0) :] = np.nan
        outdoor: dict[str, Any] = {}
        if hours.temperature_c is not None:
            outdoor["temperature_c"] = hours.temperature_c
        np.savez(
            self._folder / f"group-{number:04d}.npz",
            first_ms=first_ms, zone=zone, values=values, holidays=hours.holidays, **outdoor,
        )  # fmt: skip

    def _take_in(self, frontier_ms: int) -> bool:
        assert self._process is not None
        code = self._process.returncode
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process = None
        model, about = self._folder / "model.bin", self._folder / "about.json"
        if code or not model.exists():
            reason = self._folder / "fault.txt"
            self.fault = reason.read_text() if reason.exists() else f"it ended with code {code}"
            logger.warning("insights.not_trained", reason=self.fault)
            return False
        told = msgspec.json.decode(about.read_bytes())
        self._file.add_model(told.pop("version"), frontier_ms, told, model.read_bytes())
        self.fault = ""
        logger.info("insights.trained", **told["trained_on"], **told["quality"])
        shutil.rmtree(self._folder, ignore_errors=True)
        return True
