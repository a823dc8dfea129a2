"""Reads what was put into streams: after the predictions are written, by the scores alone."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from kilowatch.evaluation.folder import Folder
from kilowatch.evaluation.stamps import UNKNOWN, of_one
from kilowatch.model.errors import KilowatchError
from kilowatch.model.zones import Zone


def read(path: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a file of events.

    Args:
        path: The file.
        columns: What it has to have.

    Raises:
        KilowatchError: It is not there, or lacks columns.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            read = csv.DictReader(lines)
            missing = set(columns) - set(read.fieldnames or ())
            if missing:
                raise KilowatchError(
                    "missing_columns",
                    f"{path.name} lacks the columns {', '.join(sorted(missing))}.",
                )
            return [{key: (row[key] or "").strip() for key in columns} for row in read]
    except (OSError, csv.Error) as error:
        raise KilowatchError("unreadable_file", f"{path.name} is not there.") from error


def instant_ms(text: str, folder: Folder, stream_id: str) -> int:
    """Read a stamp; one without an offset is by the clock of its stream.

    Raises:
        ValueError: It is none.
    """
    at_ms, naive = of_one(text)
    if at_ms == UNKNOWN:
        raise ValueError(f"{text!r} is no stamp")
    if not naive:
        return at_ms
    listed = folder.listed.get(stream_id)
    zone = Zone.of(listed.zone if listed else "UTC")
    return int(zone.wall_to_instant_ms([at_ms]).at_ms[0])


def set_aside(unread: int, unknown: Mapping[str, int]) -> dict[str, str]:
    """Return which events do not count, as scores say it; nothing where all do.

    Args:
        unread: Rows that can't be read.
        unknown: Number of events of each stream in a time for which it was not judged.
    """
    said = {}
    if unread:
        said["events_unread"] = f"{unread} rows can't be read"
    if unknown:
        count, names = sum(unknown.values()), ", ".join(unknown)
        said["events_set_aside"] = f"{count} of streams or times that were not judged: {names}"
    return said
