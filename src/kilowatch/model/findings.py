"""Bad data as a value: what is odd about a stream, in words a person can act on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a data stream that a person should know.

    Attributes:
        code: Stable machine-readable word, ``subject.what_happened``.
        text: One sentence for a person.
        at_ms: When it happened in the data [ms since 1970, UTC], or None for a state.
        channel: Which channel it is about, or None for the whole stream.
        data: Facts that belong to it.
    """

    code: str
    text: str
    at_ms: int | None = None
    channel: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
