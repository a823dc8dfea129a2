"""What a site's calendar was when its hours were looked at, and from when on it is another one."""

from __future__ import annotations

from datetime import date

import msgspec

from kilowatch.model.calendar import day_start_ms
from kilowatch.model.site_facts import SiteFacts
from kilowatch.model.zones import Zone

ALWAYS_MS = -(1 << 62)


class Calendar(msgspec.Struct, frozen=True):
    """What of a site's facts its hours are read with.

    Attributes:
        country: Whose public holidays it keeps.
        region: Likewise.
        closed: Days on which it is closed, first and last.
        opened: Days on which it is open all the same.
        openings: Opening hours: from when on, and which [ms since 1970, UTC].
    """

    country: str = ""
    region: str = ""
    closed: tuple[tuple[date, date], ...] = ()
    opened: tuple[tuple[date, date], ...] = ()
    openings: tuple[tuple[int, tuple[bool, ...] | None], ...] = ()

    @classmethod
    def of(cls, facts: SiteFacts) -> Calendar:
        """Return a site's calendar."""
        return cls(
            facts.country,
            facts.region,
            tuple(sorted((one.first, one.last) for one in facts.closed_days)),
            tuple(sorted((one.first, one.last) for one in facts.open_days)),
            tuple((one.from_ms, one.hours) for one in facts.openings),
        )

    def packed(self) -> str:
        """Return it as text."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, text: str) -> Calendar:
        """Read what ``packed`` wrote."""
        return msgspec.json.decode(text, type=cls)

    def differs_from_ms(self, other: Calendar, zone: Zone) -> int | None:
        """Return the first instant at which two calendars differ; None where they never do."""
        if (self.country, self.region) != (other.country, other.region):
            return ALWAYS_MS
        starts = [
            day_start_ms(first, zone)
            for mine, theirs in ((self.closed, other.closed), (self.opened, other.opened))
            for first, _ in set(mine) ^ set(theirs)
        ]
        starts += [from_ms for from_ms, _ in set(self.openings) ^ set(other.openings)]
        return min(starts, default=None)
