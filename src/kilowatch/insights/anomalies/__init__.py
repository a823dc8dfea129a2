"""What is wrong with a stream: faults of meters and of what they measure, told apart by kind.

Promises: an alarm rests on nothing that came after it; hours may come in any cut and give the
same alarms to the last bit; what a stream keeps is of one size for ever.
Refuses: to learn a fault as what is usual (medians over eight weeks forget it), to know a stream
by its name, to see another stream's values.
Read first: ``scanning.py`` (one hour after the other), then ``profile.py`` (what was to be
expected) and ``measures.py`` (what is looked at).
"""

from kilowatch.insights.anomalies.alarms import Alarm
from kilowatch.insights.anomalies.scanning import scan, scan_within, start
from kilowatch.insights.anomalies.state import State

__all__ = ["Alarm", "State", "scan", "scan_within", "start"]
