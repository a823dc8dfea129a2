"""From the log to intervals: what the platform makes of the packets that it has promised to keep."""
