"""The load bench: how many packets a second, how late, and whether each one is really there.

Promises: acknowledged means counted by answers that said ``accepted``; the generator says
when it, and not the server, was the limit; every run is bounded in time and in packets.
Refuses: to load a server on another machine, or streams that carry real data.
Read first: ``generator.py`` (what is sent and counted), then ``reconcile.py``.
"""

from kilowatch.bench.figures import Figures
from kilowatch.bench.load import Load, load
from kilowatch.bench.reconcile import Reconciled, reconcile
from kilowatch.bench.streams import Prepared, prepare

__all__ = ["Figures", "Load", "Prepared", "Reconciled", "load", "prepare", "reconcile"]
