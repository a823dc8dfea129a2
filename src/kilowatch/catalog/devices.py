"""Browsers that a person has logged in with before, told by a cookie that we signed.

It proves nothing but that: it opens no session, and only chooses by which budget wrong passwords
are counted (``attempts.py``). It holds no secret of the person's and needs no row.

Source:
    OWASP, "Slow Down Online Guessing Attacks with Device Cookies".
"""

from __future__ import annotations

import hmac

from kilowatch.catalog import secrets
from kilowatch.model.lengths import DAY_MS

PURPOSE = "device"
VALID_MS = 180 * DAY_MS
NUMBER_CHARACTERS = 24  # 117 random bits: nobody uses up another device's budget


def new(key: bytes, user_id: int, now_ms: int) -> str:
    """Return the cookie of a browser with which a person has just logged in."""
    said = f"{user_id}.{secrets.readable(NUMBER_CHARACTERS)}.{now_ms // 1000}"
    return f"{said}.{secrets.digest(key, said, PURPOSE).hex()}"


def known(key: bytes, cookie: str, user_id: int, now_ms: int) -> str:
    """Return the device's number if we gave this cookie to this person's browser, else ""."""
    said, _, signature = cookie.rpartition(".")
    if not cookie.isascii() or not hmac.compare_digest(
        secrets.digest(key, said, PURPOSE).hex(), signature
    ):
        return ""
    owner, number, at_s = said.split(".")
    fresh = now_ms - int(at_s) * 1000 < VALID_MS
    return number if owner == str(user_id) and fresh else ""
