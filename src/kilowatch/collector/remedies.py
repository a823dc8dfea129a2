"""What to change, in plain words, for each refusal that an integrator meets in the live view."""

from __future__ import annotations

import json
import re

from kilowatch import wire
from kilowatch.catalog.directory import Directory
from kilowatch.collector.neighbours import Neighbours
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

PLAIN_QUOTES = str.maketrans(dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u2036", '"'))
NOW = "$(date +%Y-%m-%dT%H:%M:%S%z)"
"""What a shell writes for the time at which a line is run."""

_CLOCKS = frozenset({"timestamp_in_future", "timestamp_too_old"})
_STAND_IN = "2001-01-01T00:00:00+00:00"
_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)([.,]\d+)?([eE][+-]?\d+)?$")


def remedy(
    error: KilowatchError,
    body: bytes,
    *,
    path: str,
    username: str,
    organisation_id: int | None,
    directory: Directory,
    neighbours: Neighbours,
    push_url: str,
) -> str:
    """Return what to change about a refused request.

    Args:
        error: Why it was refused.
        body: The first bytes of its body.
        path: Where it was sent.
        username: As sent; empty for none.
        organisation_id: Whose it is, as far as that can be told.
        directory: The registry in force.
        neighbours: Finds the stream that was meant.
        push_url: Address for examples.
    """
    if error.code == "credentials_wrong":
        return _credentials(username, directory)
    if error.code == "credentials_missing":
        return f"Send a user name and a password: curl -u {username or 'USER'}:$PASSWORD {push_url}"
    if error.code == "stream_unknown" and organisation_id is not None:
        stream_id = str(error.data.get("stream_id", ""))
        return _stream(stream_id, organisation_id, directory, neighbours)
    if error.status == 400 and "/measurements/" in path and body:
        better = corrected(body) if error.code not in _CLOCKS else None
        line = _quoted(better) if better else with_clock(body)
        if line:
            url = push_url.partition("/measurements/")[0] + path
            return (
                f"{error.remedy} This would be accepted: curl -u {username or 'USER'}:$PASSWORD "
                f"{url} -d {line}"
            ).strip()
    return error.remedy


def with_clock(body: bytes) -> str:
    """Return a packet for a shell with the time at which it is run; "" if that does not mend it.

    A time that cannot be read, or is years off, says nothing about when the reading was taken.
    """
    try:
        fields = json.loads(wire.text_of(body))
    except (ValueError, RecursionError):
        return ""
    if not isinstance(fields, dict) or "tsISO8601" not in fields:
        return ""
    better = corrected(json.dumps(fields | {"tsISO8601": _STAND_IN}).encode())
    return _quoted(better).replace(_STAND_IN, f"'{NOW}'") if better else ""


def _credentials(username: str, directory: Directory) -> str:
    if not username:
        return "The user name is empty: send the one that the startup package printed."
    record = directory.credential(username)
    if record is not None:
        what = "the account" if record.password_hash else "user"
        return f"Wrong password for {what} {username}: copy it again, without spaces or quotes."
    known = directory.refused.get(username)
    if known is None:
        near = username.strip()
        if near != username and directory.credential(near):
            return f"There are spaces around the user name {near!r}: remove them."
        return f"There is no user {username!r} on this server: check the name and the address."
    other = "production" if directory.environment == "development" else "development"
    return {
        "revoked": f"{username} was revoked: issue a new credential.",
        "other_environment": f"{username} belongs to the {other} environment, and this server is "
        f"{directory.environment}: use the credential issued for it, or the other server.",
        "not_live": f"The organisation of {username} is not live yet: run kilowatch go-live, or "
        "push to the development environment.",
        "disabled": f"The account behind {username} is disabled: enable it or use another one.",
    }[known.reason]


def _stream(
    stream_id: str, organisation_id: int, directory: Directory, neighbours: Neighbours
) -> str:
    near = neighbours.nearest(stream_id, organisation_id, directory)
    if near:
        return f"Did you mean {near!r}? Stream ids must match letter for letter."
    return f"Register {stream_id!r} as a data point, or send the id of one that is registered."


def corrected(body: bytes) -> str | None:
    """Return a packet that means the same and is right, or None if we can't tell.

    Mends what clients get wrong most: typographic or single quotes, a comma after the last
    parameter, numbers as texts, and a timestamp without its offset.
    """
    text = wire.text_of(body).translate(PLAIN_QUOTES).strip()
    for attempt in (text, re.sub(r",\s*}", "}", text), text.replace("'", '"')):
        try:
            fields = json.loads(attempt)
        except (ValueError, RecursionError):
            continue
        if isinstance(fields, list) and len(fields) == 1:
            fields = fields[0]
        if isinstance(fields, dict):
            break
    else:
        return None
    try:
        better = json.dumps({name: _mended(name, value) for name, value in fields.items()})
        wire.decode(better.encode(), Form.LOCAL)
    except (KilowatchError, RecursionError):
        return None
    return better


def _mended(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    if name == "tsISO8601":
        stamp = value.strip().replace(" ", "T")
        return stamp + "+00:00" if _LOCAL_TIME.match(stamp) else stamp
    number = value.strip()
    if name != "id" and _NUMBER.match(number):
        return float(number.replace(",", "."))
    return value


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
