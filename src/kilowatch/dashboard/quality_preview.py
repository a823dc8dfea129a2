"""What a correction or a record would change, worked out and shown before it is applied."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import Response

from kilowatch.catalog import corrections
from kilowatch.catalog.changes import Change
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.needs import DayChange, Preview
from kilowatch.dashboard.periods import local_day
from kilowatch.dashboard.quality_figures import SHARE_NAMES, percent, unit_of
from kilowatch.dashboard.quality_forms import Filled, as_tried, record
from kilowatch.dashboard.quality_periods import counted
from kilowatch.dashboard.quality_point import crumbs_to
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.shell import page
from kilowatch.dashboard.words import t
from kilowatch.model.blocks import COLUMNS, IntervalBlock
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME, channel_name
from kilowatch.model.points import DataPoint

DAYS_SHOWN = 60


class _TriedError(Exception):
    """Ends a change that was only tried: everything in it is rolled back."""


def preview(request: Request, point: DataPoint, wanted: Filled) -> Preview:
    """Return what a filled-in form would change in the figures of a data point.

    Raises:
        KilowatchError: The catalogue would refuse it, or the person may not read the meter whose
            shape is to be taken.
    """
    rooms = rooms_of(request)
    if wanted.draft is not None:
        if wanted.draft.sister_id is not None:
            _check_sister(request, wanted.draft.sister_id)
        with rooms.registry.catalog.reading() as session:
            editing = corrections.with_draft(session, point, wanted.draft, rooms.clock())
        return rooms.view.preview(point, editing, wanted.from_ms, wanted.to_ms)
    return events_preview(
        request, point, lambda change: record(change, point.id, wanted),
        (wanted.from_ms, wanted.to_ms),
    )  # fmt: skip


def _check_sister(request: Request, number: int) -> None:
    """Refuse the shape of a meter that the person may not read."""
    if rooms_of(request).registry.point(visit_of(request).person, number) is None:
        raise KilowatchError("invalid_correction", t("form.no_sister"), data={"field": "sister"})


def events_preview(
    request: Request, point: DataPoint, act: Callable[[Change], None], about: tuple[int, int]
) -> Preview:
    """Return what a change of the meter's records would change in the figures.

    The change is made as it will be, and rolled back: what refuses it refuses the preview.
    """
    rooms = rooms_of(request)
    tried: list[DataPoint] = []

    def try_out() -> None:
        with rooms.registry.catalog.change(actor_of(request)) as change:
            act(change)
            tried.append(as_tried(change.session, point))
            raise _TriedError

    with contextlib.suppress(_TriedError):
        try_out()
    beside = point.gap_ms  # the readings on both sides count differently too
    span = (about[0] - beside, min(about[1] + beside, max(rooms.clock(), about[1])))
    return rooms.view.preview_events(point, tried[0], span)


def changes(found: Preview) -> bool:
    """Tell whether any figure would change."""
    return bool(found.days) or bool(len(found.before)) or bool(len(found.after))


def digest(found: Preview) -> str:
    """Return a mark of what a preview shows: equal for equal ones."""
    made = hashlib.blake2b(digest_size=12)
    for block in (found.before, found.after):
        for name in COLUMNS:
            if name not in {"series", "version"}:
                made.update(np.ascontiguousarray(getattr(block, name)).tobytes())
        made.update(b"|")
    return made.hexdigest()


def preview_page(request: Request, found: Preview, context: dict[str, Any]) -> Response:
    """Answer the page that shows a preview, in the frame of what is corrected or taken back."""
    point = point_of(request)
    frame = {"point": point, "page": "quality", **preview_context(point, found), **context}
    return page(
        request, "quality_preview.html", crumbs_to(request, context["title"]), frame,
        current=f"point-{point.id}",
    )  # fmt: skip


def preview_context(point: DataPoint, found: Preview) -> dict[str, Any]:
    """Return the days and intervals that a preview shows, headline channels first."""
    days = sorted(found.days, key=lambda day: (_rank(day.channel), day.start_ms))
    changed = np.unique(np.concatenate([_keys(found.before), _keys(found.after)]).astype(np.int64))
    return {
        "days": [_day(point, day) for day in days[:DAYS_SHOWN]],
        "more_days": max(len(days) - DAYS_SHOWN, 0),
        "intervals": counted("intervals", len(changed)),
        "changes": changes(found),
    }


def _keys(rows: IntervalBlock) -> Any:
    return (rows.channel << 42) | rows.start_ms


def _rank(channel: int) -> tuple[bool, int]:
    """Return the order of channels: the value, the energy, the power, then the others."""
    first = [CHANNEL_BY_NAME[name] for name in ("value", "pC", "aP")]
    return (channel not in first, first.index(channel) if channel in first else channel)


def _day(point: DataPoint, day: DayChange) -> dict[str, Any]:
    return {
        "day": local_day(day.start_ms, point.zone),
        "channel": channel_name(day.channel) if point.kind == "electrical" else "",
        "unit": unit_of(point, day.channel),
        "before": day.before if math.isfinite(day.before) else None,
        "after": day.after if math.isfinite(day.after) else None,
        "before_complete": percent(day.before_completeness),
        "after_complete": percent(day.after_completeness),
        "before_shares": _shares(day.before_shares_ms, day.duration_ms),
        "after_shares": _shares(day.after_shares_ms, day.duration_ms),
    }


def _shares(shares_ms: Sequence[int], duration_ms: int) -> str:
    """Return the qualities of a day in words: ``estimated 16.7 %``."""
    return ", ".join(
        f"{t(f'share.{name}').lower()} {percent(share_ms / duration_ms)}"
        for name, share_ms in zip(SHARE_NAMES, shares_ms, strict=True)
        if share_ms
    )
