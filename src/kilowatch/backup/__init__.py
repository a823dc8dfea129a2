"""The file of a backup: one tar with sums of everything in it, written and read as it passes by.

Promises: a file that bears its name is whole, and was read back before it got it; what was
damaged, cut off or changed is refused, as is a name that would lead out of the folder; nothing
is held in memory but what is being copied.
Refuses: to know what the files mean, or in which order they must be copied to fit each other
(``cli/backup.py`` does, and docs/decisions/0037 says why).
Read first: ``contents.py`` (what is in the file), then ``writing.py`` and ``reading.py``;
``copies.py`` takes an SQLite file that others are writing.
"""

from kilowatch.backup.contents import Contents, Head, Manifest, Member
from kilowatch.backup.copies import Held, check, compress
from kilowatch.backup.reading import read, unpack
from kilowatch.backup.writing import Archive

__all__ = [
    "Archive",
    "Contents",
    "Head",
    "Held",
    "Manifest",
    "Member",
    "check",
    "compress",
    "read",
    "unpack",
]
