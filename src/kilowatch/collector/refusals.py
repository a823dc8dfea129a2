"""What the push server says when it will not take a request, in words that name the remedy."""

from __future__ import annotations

import re
from typing import Literal

from kilowatch.collector.settings import CollectorSettings
from kilowatch.model.errors import KilowatchError

_REQUEST_LINE = re.compile(rb"(?:\r\n)*[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} [!-~]+ HTTP/1\.[01]\r\n")


def has_method(data: bytes) -> bool:
    """Tell whether bytes begin with a request line, whatever its method."""
    return _REQUEST_LINE.match(data) is not None


def method_not_allowed(method: str = "This method", path: str = "this address") -> KilowatchError:
    """Return the 405; ``Allow`` goes into its headers."""
    return KilowatchError(
        "method_not_allowed",
        f"{method} is not allowed for {path}.",
        status=405,
        remedy="Use one of the methods in the Allow header.",
    )


def url_too_long(limit: int) -> KilowatchError:
    """Return the refusal of an overlong request target [bytes]."""
    return KilowatchError("url_too_long", f"The address is longer than {limit} bytes.", status=414)


def head_too_large(settings: CollectorSettings) -> KilowatchError:
    """Return the refusal of too many or too long header fields."""
    return KilowatchError(
        "head_too_large",
        f"The request's headers are more than {settings.head_bytes_max} bytes "
        f"or {settings.headers_max} fields.",
        status=431,
        remedy="Send fewer headers; cookies are not needed here.",
    )


def body_too_large(limit: int, *, history: bool = False) -> KilowatchError:
    """Return the refusal of a body over the limit, before or after decompression.

    Args:
        limit: The most that it may have [bytes].
        history: Whether it would have been many packets of a history, not one.
    """
    whole = "one request of a history" if history else "one packet"
    return KilowatchError(
        "body_too_large",
        f"The body is larger than {limit} bytes ({limit / 1024:g} KiB), the most that {whole} "
        "may have.",
        status=413,
        remedy="Send fewer packets in each request."
        if history
        else "Send one packet per request; a packet has a few hundred bytes.",
    )


def too_slow(part: Literal["head", "body"]) -> KilowatchError:
    """Return the answer to a request that did not arrive in time."""
    return KilowatchError(
        "too_slow",
        f"The request's {part} did not arrive in time.",
        status=408,
        remedy="Send the whole request at once; check its Content-Length.",
        retry_helps=True,
    )


def overloaded(detail: str) -> KilowatchError:
    """Return the 503 of a server that has enough to do."""
    return KilowatchError(
        "overloaded",
        detail,
        status=503,
        remedy="Keep the packet and send it again after the time in Retry-After.",
        retry_helps=True,
    )


def maintenance(reason: str) -> KilowatchError:
    """Return the 503 of a server whose operator is at work."""
    why = f": {reason}" if reason else ""
    return KilowatchError(
        "maintenance",
        f"The server is offline for maintenance{why}.",
        status=503,
        remedy="Keep the packet and send it again after the time in Retry-After.",
        retry_helps=True,
    )


def not_durable() -> KilowatchError:
    """Return the 503 for a packet whose commit failed: it is not stored."""
    return KilowatchError(
        "not_durable",
        "The packet could not be written durably and is not stored.",
        status=503,
        remedy="Keep the packet and send it again after the time in Retry-After. "
        "The operator finds the reason in the server's log; often the disk is full.",
        retry_helps=True,
    )


def server_fault() -> KilowatchError:
    """Return the 500; the reason is in the server's log, not in the answer."""
    return KilowatchError(
        "server_fault",
        "The server failed to answer this request; the packet is not acknowledged.",
        status=500,
        remedy="Send it again later.",
        retry_helps=True,
    )


def credentials_missing(authorization: bytes | None = None) -> KilowatchError:
    """Return the challenge: some clients send credentials only after it.

    Args:
        authorization: The header that came, if one did: what can't be read in it is said.
    """
    if authorization is None:
        detail = "This address needs a user name and a password (HTTP Basic)."
    elif authorization.partition(b" ")[0].lower() not in (b"basic", b""):
        detail = "The Authorization header is not HTTP Basic, which this address needs."
    else:
        detail = (
            "The Authorization header can't be read: what belongs after 'Basic' is "
            "user name, colon and password in base64, padding included."
        )
    return KilowatchError(
        "credentials_missing",
        detail,
        status=401,
        remedy="Send the credentials that the startup package or your administrator gave you.",
    )


def credentials_wrong() -> KilowatchError:
    """Return the 401 that does not tell which half was wrong."""
    return KilowatchError(
        "credentials_wrong",
        "User name or password is wrong, revoked, or belongs to another environment.",
        status=401,
        remedy="Check both, and that they were issued for this server.",
    )


def stream_unknown(stream_id: str) -> KilowatchError:
    """Return the 404, the same for a stream that is not there and for another's."""
    return KilowatchError(
        "stream_unknown",
        f"The stream {stream_id[:200]!r} is not registered.",
        status=404,
        remedy="Check the id, or register the stream first.",
        data={"stream_id": stream_id[:200]},
    )


def stream_not_allowed(stream_id: str) -> KilowatchError:
    """Return the 403 for a stream of the same organisation outside the scope."""
    return KilowatchError(
        "stream_not_allowed",
        f"This credential may not use the stream {stream_id!r}.",
        status=403,
        remedy="Use the credential of that meter, or one of its site or organisation.",
        data={"stream_id": stream_id},
    )


def stream_computed(stream_id: str) -> KilowatchError:
    """Return the 403 for a stream whose figures are computed from others."""
    return KilowatchError(
        "stream_computed",
        f"The stream {stream_id!r} is computed by a formula and takes no packets.",
        status=403,
        remedy="Push to the streams that it is made of, or register another data point.",
        data={"stream_id": stream_id},
    )


def kind_mismatch(stream_id: str, registered: str) -> KilowatchError:
    """Return the 400 for electrical parameters to a single-value point, or the reverse."""
    wanted = (
        "electrical parameters such as aP_1 or pC_1"
        if registered == "electrical"
        else 'one number named "value"'
    )
    return KilowatchError(
        "kind_mismatch",
        f"The stream {stream_id!r} is registered as {registered}: its packets carry {wanted}.",
        remedy="Send that, or correct the registration of the data point.",
        data={"stream_id": stream_id, "kind": registered},
    )


def no_data_yet(stream_id: str) -> KilowatchError:
    """Return the 404 of a registered stream that never received a packet."""
    return KilowatchError(
        "no_data_yet",
        f"The stream {stream_id!r} is registered and has not received a packet yet.",
        status=404,
        data={"stream_id": stream_id},
    )


def stream_missing() -> KilowatchError:
    """Return the 400 for a GET that does not say which stream."""
    return KilowatchError(
        "stream_missing",
        "The address names no stream, or more than one.",
        remedy="Ask with ?stream=ID, for example /measurements/v2/unifiedjson/?stream=ID.",
    )


def encoding_unknown(encoding: str) -> KilowatchError:
    """Return the 400 for a compression that the contract does not have."""
    return KilowatchError(
        "encoding_unknown",
        f"The Content-Encoding {encoding[:50]!r} is not known here.",
        remedy="Send the body as it is, or compressed with gzip.",
    )


def gzip_broken() -> KilowatchError:
    """Return the 400 for a body that says gzip and is not."""
    return KilowatchError(
        "gzip_broken",
        "The body says Content-Encoding: gzip and can't be decompressed.",
        remedy="Compress the whole body once with gzip, or leave Content-Encoding out.",
    )
