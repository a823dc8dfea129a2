"""Energy that need not have been used: more than this building needs at that time and temperature.

Promises: what a building needs is learnt once, from a reference period, and stays as it is until
somebody has it learnt again; what is said of an hour rests on that hour and the ones before it;
the answer for an hour is the same in whatever batch it comes, if ``LOOKBACK_H`` hours lead the way.
Refuses: to learn from the hours that it judges, to call a single high hour waste.
Read first: ``reference.py`` (what a building needs), then ``finding.py`` (what is above it).
"""

from kilowatch.insights.waste.events import WasteEvent, events
from kilowatch.insights.waste.finding import LOOKBACK_H, waste
from kilowatch.insights.waste.opening import opening_hours
from kilowatch.insights.waste.reference import Reference, learn
from kilowatch.insights.waste.standing import peers, standing

__all__ = [
    "LOOKBACK_H",
    "Reference",
    "WasteEvent",
    "events",
    "learn",
    "opening_hours",
    "peers",
    "standing",
    "waste",
]
