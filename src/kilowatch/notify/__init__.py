"""Findings to people: rules, schedules, escalation, and the channels that carry a message.

Promises: a rule that holds is told once, again as its reminder says, and once more when it is over;
every attempt to deliver is in the history; a channel that hangs or fails delays no other.
Refuses: to know where a finding comes from; whoever builds it hands in what it watches.
Read first: ``engine.py`` (one pass), then ``raising.py`` (who joins which alert), ``speaking.py``
(what is said when), ``courier.py`` (delivery); ``mail.py`` is the platform's own mail.
"""
