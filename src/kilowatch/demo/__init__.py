"""Three simulated buildings that push through the real push API, with things to find.

Promises: the same building at the same instant, whenever and however often it is asked; a
year of history and live packets after it, at most 500,000 packets; a second run goes on
where the first one stopped.
Refuses: any way to the store but the push API; chance that a seed does not decide.
Read first: ``plan.py`` (which streams there are), then ``events.py`` (what there is to find).
"""

from kilowatch.demo.events import Event, events
from kilowatch.demo.feed import Progress, run
from kilowatch.demo.organisation import Account, organisation
from kilowatch.demo.plan import TRY_STREAM

__all__ = ["TRY_STREAM", "Account", "Event", "Progress", "events", "organisation", "run"]
