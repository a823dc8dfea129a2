"""The vocabulary of the platform: what a packet, a data point and an interval are.

Promises: pure values and functions, no I/O, no clock of its own, no settings.
Refuses: anything that opens a file or a socket, or knows who is asking.
Read first: ``parameters.py`` (what a meter can say), then ``points.py``.
"""
