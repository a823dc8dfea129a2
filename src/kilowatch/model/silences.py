"""A time without packets that lasts longer than a data point allows: broken communication."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Silence:
    """One data point's silence, found when its next packet was due and did not come.

    Attributes:
        series: Key of the data stream.
        data_point_id: The catalogue's number.
        organisation_id: Who owns it.
        site_id: Where it is.
        credential_id: Who pushed the last packet: streams of one gateway fall silent together.
        last_ms: Effective instant of the last packet [ms since 1970, UTC].
        due_ms: When the next packet should have arrived at the latest [ms since 1970, UTC].
        found_ms: When the platform noticed; never before ``due_ms``, and later after the
            platform itself was down [ms since 1970, UTC].
        ended_ms: Arrival of the packet that ended it, or None while it lasts.
    """

    series: int
    data_point_id: int
    organisation_id: int
    site_id: int
    credential_id: int
    last_ms: int
    due_ms: int
    found_ms: int
    ended_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """When a data point spoke last, and until when it may be quiet.

    Attributes:
        live: Whether it has ever sent the present rather than history; else nothing is expected.
        heard_ms: Arrival of its last packet [ms since 1970, UTC].
        due_ms: When the next one should arrive at the latest [ms since 1970, UTC].
        allowed_ms: How long it may be quiet [ms].
        silent: Whether its silence lasts.
    """

    live: bool
    heard_ms: int
    due_ms: int
    allowed_ms: int
    silent: bool
