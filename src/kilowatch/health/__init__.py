"""Whether the platform is all right, told to programs: checks, metrics, a sign of life.

Promises: one judgement for everybody who asks (``/health/ready``, ``kilowatch status``, the dead
man's ping, the metrics); whatever it asks never holds up a packet or a page; a stranger learns
whether it works and no more.
Refuses: to mend anything, and to decide about data points (``pipeline`` finds those that are
silent, ``notify`` tells people).
Read first: ``checks.py`` (the judgement), then ``metrics.py``, ``deadman.py`` and ``uptime.py``.
"""

from kilowatch.health.checks import Check, Facts, Report, judge

__all__ = ["Check", "Facts", "Report", "judge"]
