"""Kilowatch: self-hosted energy monitoring, from the meter's packet to the finding.

It makes every pushed packet durable before it says so, turns packets into intervals, and shows
people and programs where the energy goes. Rooms import downwards only: begin with
``kilowatch.model`` for the vocabulary, then follow a packet through ``wire``, ``collector``,
``log``, ``pipeline``, ``store`` and ``dashboard``; ``cli`` puts them together.
"""

__version__ = "0.1.0"
