"""How good the insights are: the platform's own code on a folder of meter data, scored.

Promises: predictions are written before any label is read; what is scored can be computed again by
somebody else from the files that are left behind.
Refuses: to hold a second copy of a model or a detector, to tune anything.
Read first: ``folder.py`` (what is read).
"""
