"""Which addresses are ours, and what the head of a request says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote

import httptools

from kilowatch.log import Origin
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

if TYPE_CHECKING:
    from kilowatch.collector.authenticate import Access

PREFIX = "/measurements/"
SINGLE = frozenset({b"host", b"authorization", b"content-length"})
"""Two of these would let a proxy before us and ourselves believe different ones."""
SLASHES = re.compile("//+")


@dataclass(frozen=True, slots=True)
class Route:
    """One address of the push API.

    Attributes:
        path: As the contract writes it, with its trailing slash.
        form: How packets that come here are read.
        methods: Allowed methods.
    """

    path: str
    form: Form
    methods: tuple[str, ...]

    @property
    def allow(self) -> str:
        """Value of the ``Allow`` header."""
        return ", ".join(self.methods)


ROUTES = (
    Route(f"{PREFIX}v2/unifiedjson/", Form.LOCAL, ("GET", "POST")),
    Route(f"{PREFIX}v2/unifiedjson_utc/", Form.UTC, ("POST",)),
    Route(f"{PREFIX}v2/unifiedjson_partial/", Form.PARTIAL, ("POST",)),
)

BY_PATH = {path: route for route in ROUTES for path in (route.path, route.path.rstrip("/"))}
"""With and without the trailing slash: a redirected POST loses its body in many clients."""


@dataclass(slots=True)
class Head:
    """What the first part of a request said.

    Attributes:
        method: As sent (``POST``).
        url: Request target as sent.
        path: Decoded, with doubled slashes made single.
        query: Raw query string.
        route: The push address, or None for every other URL.
        http10: True for HTTP/1.0.
        keep_alive: Whether the connection may serve another request.
        headers: Names in lower case, values as sent.
        authorization: Value of ``Authorization``, else None.
        encoding: ``Content-Encoding`` in lower case, empty for none.
        forwarded_proto: ``X-Forwarded-Proto`` as sent, else None.
        forwarded_for: ``X-Forwarded-For`` as sent, else None.
        length: ``Content-Length``, or None.
        chunked: True for a body in chunks.
        expects: The client waits for ``100 Continue``.
        access: Whom it authenticates as, from an earlier request with the same bytes.
    """

    method: str
    url: bytes
    path: str
    query: bytes
    route: Route | None
    http10: bool
    keep_alive: bool
    headers: list[tuple[bytes, bytes]]
    authorization: bytes | None = None
    encoding: bytes = b""
    forwarded_proto: bytes | None = None
    forwarded_for: bytes | None = None
    length: int | None = None
    chunked: bool = False
    expects: bool = False
    access: Access | None = None

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow the head."""
        return self.chunked or bool(self.length)


def read_head(
    method: str,
    url: bytes,
    version: str,
    headers: list[tuple[bytes, bytes]],
    *,
    keep_alive: bool,
) -> Head:
    """Make sense of a parsed head, and refuse shapes that two servers could read differently.

    Args:
        method: As sent.
        url: Request target as sent.
        version: ``1.1`` or ``1.0``; anything else is refused.
        headers: Names in lower case, values as sent.
        keep_alive: The parser's reading of version and ``Connection``.

    Raises:
        KilowatchError: 400 ``malformed_request``, when the connection must be closed.
    """
    if version not in ("1.1", "1.0"):
        raise malformed(f"The request says HTTP/{version}; this server speaks HTTP/1.1.")
    path, query = _target(url)
    seen = _by_name(headers)
    http10 = version == "1.0"
    length = seen.get(b"content-length")
    coding = seen.get(b"transfer-encoding")
    if coding is not None and coding.strip().lower() != b"chunked":
        raise malformed("The only Transfer-Encoding that this server reads is chunked.")
    if coding is not None and (http10 or length is not None):
        raise malformed("Transfer-Encoding can't stand in HTTP/1.0 or beside Content-Length.")
    if not http10 and b"host" not in seen:
        raise malformed("An HTTP/1.1 request carries a Host header.")
    return Head(
        method=method,
        url=url,
        path=path,
        query=query,
        route=BY_PATH.get(path),
        http10=http10,
        keep_alive=keep_alive,
        headers=headers,
        authorization=seen.get(b"authorization"),
        encoding=seen.get(b"content-encoding", b"").strip().lower(),
        forwarded_proto=seen.get(b"x-forwarded-proto"),
        forwarded_for=seen.get(b"x-forwarded-for"),
        length=None if length is None else int(length),
        chunked=coding is not None,
        expects=seen.get(b"expect", b"").strip().lower() == b"100-continue" and not http10,
    )


def _by_name(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return each header's value; repeated ones are joined as RFC 9110 says."""
    seen: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in seen:
            seen[name] = value
        elif name in SINGLE:
            raise malformed(f"The request has two {name.decode()} headers.")
        else:
            seen[name] += b", " + value
    return seen


def _target(url: bytes) -> tuple[str, bytes]:
    """Return path and query of an origin-form, absolute-form or asterisk-form target."""
    if url == b"*":
        return "*", b""
    try:
        parsed = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        raise malformed("The address in the request line is not one.") from None
    raw = (parsed.path or b"/").decode("ascii")
    # An encoded slash is part of a name, not a separator: such a path is none of ours.
    path = raw if "%2f" in raw.lower() else SLASHES.sub("/", unquote(raw))
    return path, parsed.query or b""


def stream_asked(query: bytes) -> str | None:
    """Return the stream that ``GET ?stream=ID`` asks for, or None when it names none."""
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("stream", [])
    return values[0] if len(values) == 1 and values[0] else None


REASON_LENGTH_MAX: Final = 200
_YES: Final = frozenset({"", "1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no"})


@lru_cache(maxsize=256)
def backfill_asked(query: bytes) -> Origin | None:
    """Return where packets of a ``POST …?backfill=1&reason=…`` come from, None for any other.

    Raises:
        KilowatchError: ``bad_backfill``: it asks for something that is neither yes nor no.
    """
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    values, reasons = asked.get("backfill", []), asked.get("reason", [""])
    if not values or _NO.issuperset(one.lower() for one in values):
        return None
    if len(values) > 1 or values[0].lower() not in _YES:
        raise _bad_backfill(f"backfill is {', '.join(values)[:50]!r}, neither 1 nor 0.")
    if len(reasons) > 1 or len(reasons[0]) > REASON_LENGTH_MAX:
        raise _bad_backfill(f"reason must come once, with up to {REASON_LENGTH_MAX} characters.")
    return Origin("push", "", one_line(reasons[0]))


def one_line(text: str) -> str:
    """Return a person's words as they may be shown anywhere, a terminal included."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def _bad_backfill(detail: str) -> KilowatchError:
    return KilowatchError(
        "bad_backfill",
        f"The address asks for a backfill in a way that can't be read: {detail}",
        remedy="Push history with ?backfill=1&reason=WHY, everything else without both.",
    )


def malformed(detail: str) -> KilowatchError:
    """Return the refusal of a request that is not HTTP, or that could be read in two ways."""
    return KilowatchError(
        "malformed_request",
        detail,
        remedy="Send one well-formed HTTP/1.1 request; the connection is closed now.",
    )
