"""From the log to intervals: what the platform makes of the packets that it promised to keep.

Promises: a packet is visible to readers within a second of its acknowledgement; replaying the
log from any point changes nothing; the cursor moves only past what is durable; a stream whose
packets can't be processed is a finding, and its neighbours go on; readers get the same answer
whether a row is still in memory or already in the store.
Refuses: to change what was pushed, to count anything twice, to decide what a person has to.
Read first: ``consumer.py`` (the loop), ``intake.py`` (one batch), ``intervals.py`` (the rules),
``flushing.py`` (the way to disk), ``view.py`` (what readers get), ``recompute.py``;
``silence_watch.py`` (who stopped), ``mismatches.py`` (what does not fit).
"""

from kilowatch.pipeline.answers import Extent, Grain, Lag, LastValue, PointStatus
from kilowatch.pipeline.consumer import Consumer, PipelineSettings
from kilowatch.pipeline.silence_watch import SilenceWatch
from kilowatch.pipeline.silences import Silences
from kilowatch.pipeline.streams import Streams
from kilowatch.pipeline.subscription import Subscription
from kilowatch.pipeline.view import View

__all__ = [
    "Consumer",
    "Extent",
    "Grain",
    "Lag",
    "LastValue",
    "PipelineSettings",
    "PointStatus",
    "SilenceWatch",
    "Silences",
    "Streams",
    "Subscription",
    "View",
]
