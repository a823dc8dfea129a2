"""A sender that is stuck: it sends one refused packet again and again, and nothing newer comes.

Most gateways send in order and repeat what was refused until it is accepted. One packet that can
never be accepted then holds up everything behind it. We say which one it is, why, and how it
would be accepted.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from kilowatch import wire
from kilowatch.log.records import Head, KeptPacket
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form
from kilowatch.model.parameters import WIRE_CHANNELS
from kilowatch.model.points import DataPoint
from kilowatch.wire.likely import likely

REPEATS = 3
"""Twice may be chance; the third time is a sender that waits for another answer."""

_NUMBER = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
_TIMES = ("tsISO8601", "ts", "timestamp", "time")


def stuck_on(kept: Iterable[KeptPacket], head: Head | None) -> KeptPacket | None:
    """Return the refused packet that a sender can't get past, if there is one.

    It came at least three times, and nothing has been accepted since it came first.
    """
    accepted_ms = head.entry.received_ms if head is not None else 0
    waiting = [
        one
        for one in kept
        if one.status == "refused" and one.repeats >= REPEATS and one.received_ms >= accepted_ms
    ]
    return max(waiting, key=lambda one: one.last_received_ms, default=None)


def corrected(one: KeptPacket, point: DataPoint, now_ms: int) -> str:
    """Return the packet as it would be accepted; empty where nobody can know what was meant.

    Numbers that were sent as text, with a comma or not, become numbers; a name becomes the one
    that was probably meant; a time without an offset gets that of the site. Values are not
    invented.
    """
    if one.body_bytes > len(one.body):
        return ""  # only its beginning was kept
    try:
        packet = json.loads(wire.text_of(one.body))
    except ValueError:
        return ""
    if not isinstance(packet, dict):
        return ""
    body = json.dumps(_mended(packet, point), ensure_ascii=False)
    try:
        read = wire.decode(body.encode(), Form.LOCAL, now_ms)
    except KilowatchError:
        return ""
    fits = read.stream_id == point.stream_id and read.single == (point.kind == "single")
    return body if fits else ""


def curl_with(example: str, body: str) -> str:
    """Return a ready curl line with another packet in it."""
    return f"{example.partition('--data ')[0]}--data {shlex.quote(body)}"


def _mended(packet: dict[str, Any], point: DataPoint) -> dict[str, Any]:
    mended: dict[str, Any] = {"id": point.stream_id}
    for name, value in packet.items():
        if name == "id":
            continue
        if name in _TIMES:
            mended["tsISO8601"] = _time(value, point.zone)
            continue
        known = name if name == "value" or name in WIRE_CHANNELS else likely(name)
        if known and value is not None and known not in mended:
            mended[known] = _number(value)
    return mended


def _time(value: Any, zone: str) -> Any:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return value
    if moment.tzinfo is not None:
        return value
    return moment.replace(tzinfo=ZoneInfo(zone)).isoformat()


def _number(value: Any) -> Any:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return value
    return float(value.strip().replace(",", "."))
