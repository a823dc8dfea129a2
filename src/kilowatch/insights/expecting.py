"""Whether what a person has called expected makes other events expected too."""

from __future__ import annotations

from collections.abc import Iterable

from kilowatch.insights.joining import akin
from kilowatch.model.insight import InsightEvent
from kilowatch.model.verdicts import Said
from kilowatch.model.zones import Zone


def expected_by(said: Iterable[Said], event: InsightEvent, zone: Zone) -> Said | None:
    """Return what was said that makes an event expected; None where nothing does.

    One cause shows itself as one kind or the other, so kinds of one cause count as the same.

    Args:
        said: What was said of other events of the same data point.
        event: Another one.
        zone: The site's clock, which the time of the week is read from.
    """
    for one in said:
        if akin(one.kind, event.kind) and one.expects(one.kind, event.start_ms, event.end_ms, zone):
            return one
    return None
