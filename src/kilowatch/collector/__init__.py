"""The push API: the front door for meters, gateways and head-ends.

Promises: a 200 means durable; requests of a connection are answered in order; whoever pushes
too much, too slowly or without right hinders nobody else; a refusal says what to change.
Refuses: to compute with a value, to write to the store, and to serve pages to people.
Read first: ``reception.py`` (what happens to a request), then ``intake.py`` (to a packet);
``protocol.py`` is HTTP/1.1, ``server.py`` starts and stops it all.
"""

from kilowatch.collector.server import Addresses, new_event_loop, run
from kilowatch.collector.settings import CollectorSettings
from kilowatch.collector.tls import ensure_certificate

__all__ = ["Addresses", "CollectorSettings", "ensure_certificate", "new_event_loop", "run"]
