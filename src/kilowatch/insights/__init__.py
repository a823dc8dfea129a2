"""What was expected, what is coming, what is wrong and what is wasted: arrays in, findings out.

Promises: every function is causal (what it says of an hour rests on what was known by then), works
on many streams at once, and gives the same answer for the same input, however the hours are cut
into batches; each formula names its source.
Refuses: to read or write anything, to know a stream by its name, to look at the clock.
Read first: ``hours.py`` (what everything here works on).
"""
