"""The Python client of the Data Push API: order kept per stream, pushed until it is durable.

Promises: packets of one stream leave in the order they were given, packets of different
streams side by side over few kept connections; a packet counts as done only when the server
has said 200 for it; what cannot reach the server waits, on disk when asked to.
Refuses: to skip a packet silently, to send a password over a connection that others can
read, to read settings or the environment (``cli`` does that).
Read first: ``pusher.py`` (order and retries), then ``answers.py`` (what each answer means).
"""

from kilowatch.client.answers import Answer, Outcome, PushStopped, Tally
from kilowatch.client.outbox import Outbox, deliver
from kilowatch.client.pusher import Backoff, Pusher
from kilowatch.client.scripts import push
from kilowatch.client.target import Target, Trust, backfill_query

__all__ = [
    "Answer",
    "Backoff",
    "Outbox",
    "Outcome",
    "PushStopped",
    "Pusher",
    "Tally",
    "Target",
    "Trust",
    "backfill_query",
    "deliver",
    "push",
]
