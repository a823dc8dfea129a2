"""Packets that name no data point of their organisation: kept, so that nobody searches in vain.

A gateway that was set up before its data points, or with a stream id that was mistyped, pushes into
404 for days. Who registers data points sees what came, and registers it with one click.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from starlette.requests import Request

from kilowatch import wire
from kilowatch.catalog.credentials import holder
from kilowatch.dashboard.admin_frame import organisations_for, when_text
from kilowatch.dashboard.rooms import rooms_of
from kilowatch.log.kept import KEPT_BODY_BYTES_MAX
from kilowatch.log.records import KeptPacket
from kilowatch.model.points import DataPoint

READ_MAX = 200
"""As many as the log keeps of an organisation."""
SHOWN = 20
_FIRST_ID = re.compile(rb'"id"\s*:\s*"([^"\\]{1,200})"')


@dataclass(frozen=True, slots=True)
class Stranger:
    """What was refused of one stream id, for one reason.

    Attributes:
        stream_id: As the last packet named it; empty where it named none.
        organisation: Whose credential pushed it.
        site_id: A site of the organisation, for a data point to be registered at; 0 without any.
        reason: Why it was refused, in a sentence.
        times: How often packets like it came.
        last: When the last one came, in words.
        by: Who pushed it.
        raw: That packet, as far as it is kept.
        point: The data point that has this stream id by now; None where there is none.
        can_register: Whether registering the stream id would help.
    """

    stream_id: str
    organisation: str
    site_id: int
    reason: str
    times: int
    last: str
    by: str
    raw: str
    point: DataPoint | None
    can_register: bool


def strangers(request: Request) -> list[Stranger]:
    """Return what came for nobody in the organisations that a person manages, the newest first."""
    rooms = rooms_of(request)
    directory = rooms.registry.directory()
    by_stream = {(p.organisation_id, p.stream_id): p for p in directory.points.values()}
    groups: dict[tuple[int, str, str], list[KeptPacket]] = {}
    managed = {one.id: one for one in organisations_for(request, "manage")}
    for organisation_id in managed:
        for one in rooms.log.kept_unknown(organisation_id, READ_MAX):
            key = (organisation_id, stream_id_of(one.body), one.code)
            groups.setdefault(key, []).append(one)
    newest = sorted(groups.items(), key=lambda pair: -pair[1][0].last_received_ms)[:SHOWN]
    found = []
    with rooms.registry.catalog.reading() as session:
        for (organisation_id, stream_id, code), packets in newest:
            organisation, last = managed[organisation_id], packets[0]
            point = by_stream.get((organisation_id, stream_id))
            found.append(
                Stranger(
                    stream_id, organisation.name,
                    organisation.sites[0].id if organisation.sites else 0,
                    last.detail, sum(one.repeats for one in packets),
                    when_text(last.last_received_ms),
                    holder(session, last.credential_id) if last.credential_id else "",
                    wire.text_of(last.body), point,
                    code == "stream_unknown" and bool(stream_id) and point is None,
                )
            )  # fmt: skip
    return found


def stream_id_of(body: bytes) -> str:
    """Return the stream id that a refused packet names, or an empty text.

    Example:
        >>> stream_id_of(b'{"id": "main", "value": 1}'), stream_id_of(b"main")
        ('main', '')
        >>> stream_id_of(b'{"id": "main", "note": "' + 4_096 * b"x")
        'main'
    """
    try:
        named = json.loads(body).get("id", "")
    except (ValueError, AttributeError, RecursionError):
        is_cut = len(body) >= KEPT_BODY_BYTES_MAX
        first = _FIRST_ID.search(body) if is_cut else None
        return first[1].decode("utf-8", "replace") if first else ""
    return named if isinstance(named, str) else ""
