"""Pages for people: log-in, the tree, Breakdown, Attributes and the form for data points.

Promises: nobody sees or changes what is not theirs (each route states who may pass, and one
without a statement does not start); a page's frame never waits for data; what is unknown is
shown as unknown, never as zero; every word stands in one catalogue (``words/en/``).
Refuses: to compute an interval, to write a reading, to read a setting from the environment.
Read first: ``app.py`` (what it needs and how it is put together), ``access.py`` (who may pass),
then the page you came for: ``breakdown.py`` with ``answer.py``, ``attributes.py``, ``admin.py``.
"""

from kilowatch.dashboard.app import create_app
from kilowatch.dashboard.collector_events import CollectorEvents
from kilowatch.dashboard.settings import DashboardSettings

__all__ = ["CollectorEvents", "DashboardSettings", "create_app"]
