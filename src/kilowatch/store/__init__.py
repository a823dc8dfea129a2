"""The store: readings, intervals and roll-ups as columns, one year of a meter in one short read.

Promises: a write that returned is durable; writing the same rows again changes nothing; of two
rows with the same key the one with the larger version counts, whatever the engine has merged so
far; a slow query ends at its limit and does not stop others.
Refuses: to be opened by two processes, to compute (the pipeline owns every number), NaN
(unknown is NULL inside, NaN in blocks).
Read first: ``store.py`` (what a store must do), then ``schema.py`` (the tables), then
``chdb_store.py`` (how the engine does it).
"""

from kilowatch.store.chdb_store import ChdbStore
from kilowatch.store.engine import StoreSettings
from kilowatch.store.store import Reads, RollUp, Store

__all__ = ["ChdbStore", "Reads", "RollUp", "Store", "StoreSettings"]
