"""Numbers as they come in an address or a form, before anything is asked with them."""

from __future__ import annotations

from starlette.convertors import IntegerConvertor, register_url_convertor

DIGITS_MAX = 15  # no number of ours is longer, and every one of these fits in a database


def whole_number(text: str) -> int | None:
    """Return a number written with up to 15 ASCII digits; None for any other text.

    ``str.isdigit`` also holds for superscript digits, of which ``int`` makes no number.
    """
    fits = text.isascii() and text.isdecimal() and len(text) <= DIGITS_MAX
    return int(text) if fits else None


class NumberConvertor(IntegerConvertor):
    """A data point's or a place's number in a path; a longer one finds no route: 404."""

    regex = f"[0-9]{{1,{DIGITS_MAX}}}"


register_url_convertor("number", NumberConvertor())
