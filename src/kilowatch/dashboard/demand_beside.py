"""Peak demand of the other side of a comparison, with what belongs to it.

Figures as ``demand.py`` has them, of the other days or the other place; while a period runs, of the
time that has passed on both sides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kilowatch.dashboard.comparing import Compared
from kilowatch.dashboard.demand import Demands, Period, levels_of
from kilowatch.dashboard.drawn import Drawn, read
from kilowatch.dashboard.needs import Measured
from kilowatch.dashboard.periods import Window


def demand_beside(
    view: Measured,
    demands: Demands,
    found: Compared,
    drawn: Drawn,
    frame: Window,
    length_s: int,
) -> dict[str, Any] | None:
    """Return the figures of demand of the other side; None where it counts nothing.

    Args:
        view: Measurements, or sums that look like them.
        demands: Figures that were just worked out.
        found: The other side.
        drawn: What is shown of it, in energy whatever is counted in.
        frame: The period that is shown of the first side.
        length_s: Over how long its peak demand is a mean [s].

    Raises:
        KilowatchError: 503 from the store.
    """
    until_ms = min(found.span[1], found.until_ms)
    if found.running:  # of whole demand periods: a live page asks every second for the same then
        until_ms -= until_ms % (1000 * length_s)
    span = (found.span[0], until_ms)
    levels = levels_of(found.point, drawn)
    if not levels or span[1] <= span[0]:
        return None
    theirs = replace(frame, first=found.first, last=found.last, from_ms=span[0], to_ms=span[1])
    period = Period(view, found.point, theirs, span[1], length_s)
    known = read(view, found.point, levels, span, frame.asked)
    return demands.of(period, drawn, known)


def changed_demand(own: dict[str, Any] | None, other: dict[str, Any] | None) -> None:
    """Write into the figures of one side how its peak differs, in place, as ``changes`` does."""
    if own is None or other is None or own["unit"] != other["unit"]:
        return
    now, then = own["peak"], other["peak"]
    own["change"] = {
        "of": "peak",
        "value": then,
        "difference": now - then,
        "share": (now - then) / then if then else None,
        "complete": other["complete"],
    }
