"""The registry: who owns which data point, who may push to it, and who may look at it.

Promises: a change is in one transaction with its audit entry and, where the collector or the
pipeline must see it, with the step of the revision that they poll. Secrets are stored as keyed
digests or Argon2id, never as they are. Two programs may open the same catalogue at once.
Refuses: a data point whose unit, behaviour and kind contradict each other; readings of any sort
(they belong to ``log`` and ``store``); an SQL dialect of its own outside ``database.py``.
Read first: ``tables.py`` (what is kept), then ``directory.py`` (what the collector sees of it).
"""

from kilowatch.catalog import directory, secrets
from kilowatch.catalog.changes import Actor, Change
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.database import open_catalog as open  # noqa: A004 - reads as catalog.open(…)

__all__ = ["Actor", "Catalog", "Change", "directory", "open", "secrets"]
