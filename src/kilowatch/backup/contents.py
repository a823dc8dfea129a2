"""What is in a backup: a head, the files, a manifest with their sums, and its own sum."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from kilowatch.model.errors import KilowatchError

FORMAT: Final = 1
"""Steps when an older program could not restore the file."""

HEAD: Final = "kilowatch-backup.json"
MANIFEST: Final = "manifest.json"
SUM: Final = "manifest.sha256"
PACKED: Final = ".gz"
"""What compresses is compressed one by one: the store's files already are."""

NAME_MAX: Final = 255
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.%@=+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.%@=+-]*)*")


class Head(msgspec.Struct, frozen=True):
    """The first file: whether this is a backup, and whether this program can read it.

    Attributes:
        format: ``FORMAT`` of the program that wrote it.
        kilowatch: Its version.
        created_ms: When the backup began [ms since 1970, UTC].
        unpacked_bytes: What it needs on the disk, about [bytes].
    """

    format: int
    kilowatch: str
    created_ms: int
    unpacked_bytes: int


class Contents(msgspec.Struct, frozen=True):
    """What a person wants to know of a backup.

    Attributes:
        organisations: How many there are.
        data_points: Likewise.
        people: Accounts.
        packets: Packets that were accepted, ever, up to the backup.
        log_packets: Those of them that the log still holds, with history.
        log_seq: Number of the last one.
        stored_seq: Up to which number figures are in the store; the log tells the rest.
        until_ms: When the last packet came [ms since 1970, UTC]; None where there was none.
        missing: What the platform needs and the backup does not hold, in words.
    """

    organisations: int
    data_points: int
    people: int
    packets: int
    log_packets: int
    log_seq: int
    stored_seq: int
    until_ms: int | None
    missing: list[str]


class Member(msgspec.Struct, frozen=True):
    """A file in the backup, as it stands there.

    Attributes:
        name: Relative, with slashes.
        bytes: Its length [bytes].
        sha256: Of its bytes, hexadecimal.
    """

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """The last file but one: everything before it.

    Attributes:
        head: As the first file said.
        finished_ms: When the last file was in it [ms since 1970, UTC].
        contents: For people.
        members: Every file before the manifest, in order.
    """

    head: Head
    finished_ms: int
    contents: Contents
    members: list[Member]


def plain_name(name: str) -> bool:
    """Tell whether a name stays in the folder that it is unpacked into, whatever it says.

    Example:
        >>> [plain_name(one) for one in ("log/log.sqlite.gz", "../x", "/etc/x", "a/../b", "a//b")]
        [True, False, False, False, False]
    """
    return len(name) <= NAME_MAX and _NAME.fullmatch(name) is not None


def damaged(name: str, why: str) -> KilowatchError:
    """Return the refusal to use a backup that is not what was written."""
    return KilowatchError(
        "backup_damaged",
        f"{name} is damaged: {why}.",
        remedy="Nothing was restored from it. Take another copy of it, or an earlier backup.",
    )
