"""Lengths of time that have one length everywhere.

A day of these is 24 hours. A local day has 23 to 25 and is known to ``calendar`` alone, as months
and years are.
"""

from __future__ import annotations

from typing import Final

MINUTE_MS: Final = 60_000
QUARTER_MS: Final = 15 * MINUTE_MS  # of an hour: what most meters send, and where clocks change
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WEEK_MS: Final = 7 * DAY_MS

HOUR_S: Final = 3_600
DAY_S: Final = 24 * HOUR_S
WEEK_S: Final = 7 * DAY_S
