"""What is found out about use, as data arrives: bands, forecasts, anomalies, waste.

Promises: everything runs on the time of the data, so a replayed month gives the findings that it
would have given live; a stream's state and what was found in the same hours move in one
transaction; nothing here delays a packet.
Refuses: to look at an hour that a packet in order can still change, to look ahead, to change
anything outside its own file.
Read first: ``follower.py`` (which hours are due), ``stepping.py`` (what is done with them),
``file.py`` (what is kept), ``view.py`` (what readers get).
"""

from kilowatch.pipeline.insight.follower import Follower
from kilowatch.pipeline.insight.knowledge import FollowSettings, Knowledge
from kilowatch.pipeline.insight.view import InsightView

__all__ = ["FollowSettings", "Follower", "InsightView", "Knowledge"]
