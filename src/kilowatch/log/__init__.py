"""The durable log of packets: nothing is acknowledged that is not in it.

Promises: a packet whose outcome was reported is on disk; a stream's packets are in order
of their instants; sequence numbers grow and are never used twice; a stream's counts of
accepted and discarded packets are exact, whenever the power goes.
Refuses: to know what a value means, who may push, or to write from two processes.
Read first: ``gate.py`` (accepted, duplicate or discarded), then ``writer.py`` (group
commit) and ``ledger.py`` (what one transaction writes); ``reader.py`` is for everybody else.
"""

from kilowatch.log.reader import LogReader
from kilowatch.log.records import Arrival, Counters, Entry, Head, KeptPacket, Outcome
from kilowatch.log.writer import LogWriter

__all__ = [
    "Arrival",
    "Counters",
    "Entry",
    "Head",
    "KeptPacket",
    "LogReader",
    "LogWriter",
    "Outcome",
]
