"""The composition root: reads settings, builds rooms and hands them to each other.

Promises: every command answers with one clear sentence when it can't do what was asked.
Refuses: logic of its own; a command calls a room and shows what came back.
Read first: ``app.py`` (the commands), then ``serve.py`` and ``platform_process.py``.
"""
