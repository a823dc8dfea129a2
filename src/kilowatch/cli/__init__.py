"""The composition root: reads settings, builds rooms and hands them to each other.

Promises: every command answers with one clear sentence when it can't do what was asked.
Refuses: logic of its own; a command calls a room and shows what came back.
Read first: ``app.py`` (the commands), then ``serve.py`` and ``platform_process.py``.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
"""Matrices here are small: with two threads on two busy cores a product took ten times the
processor time. Set before numpy is loaded, and inherited by every process that is started."""
