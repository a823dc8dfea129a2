"""A site's budget of attention: which findings are told, and which wait on the page.

A few findings a week are read; thirty are not. So a finding is told while the week's budget lasts
and it is among the dearest of the last four weeks, four times the budget of them. What happens
often and costs little waits on the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from kilowatch.model.lengths import WEEK_MS

COMPARED_WEEKS = 4


def deserves(
    value: float, others: Sequence[float], told_ms: Sequence[int], now_ms: int, per_week: int
) -> bool:
    """Tell whether a finding is worth somebody's attention now.

    Streams that catch up are not equally far: what was told of a later day counts too, so that no
    seven days hold more than the budget.

    Args:
        value: What it costs a day.
        others: The same of the site's other findings of the last four weeks.
        told_ms: When findings of the site were told [ms since 1970, UTC].
        now_ms: When this is asked, on the same clock [ms since 1970, UTC].
        per_week: The budget.

    Example:
        >>> deserves(40.0, [1.0, 2.0], [], 0, 3), deserves(40.0, [], [1, 2, 3], 4, 3)
        (True, False)
    """
    if sum(abs(now_ms - at_ms) < WEEK_MS for at_ms in told_ms) >= per_week:
        return False
    return sum(other > value for other in others) < COMPARED_WEEKS * per_week
