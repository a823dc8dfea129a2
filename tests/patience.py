"""How long a test waits for what it expects of a page."""

PATIENCE_MS = 60_000
"""What is right comes at once; a crowded machine may need this long for it [ms].

It is no promise: where one is tested (a packet is seen within a second or two), the test says so.
"""
