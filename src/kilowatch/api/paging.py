"""Long lists in pages, for who asks for them: bodies stay arrays, the way on is in ``Link``.

Without ``page`` and ``per_page`` a list is whole: a client that knows of no pages loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

PER_PAGE = 100


def portion(
    items: Sequence[Any], request: Request, values: Mapping[str, Any]
) -> tuple[Sequence[Any], dict[str, str]]:
    """Return the items of the page that a request asks for, and headers that lead on.

    Args:
        items: The whole list, always in the same order.
        request: Its address is that of the other pages.
        values: ``page`` and ``per_page``; None where they were not sent.
    """
    headers = {"x-total-count": str(len(items))}
    if values["page"] is None and values["per_page"] is None:
        return items, headers
    page, size = values["page"] or 1, values["per_page"] or PER_PAGE
    last = max(1, -(-len(items) // size))
    others = {"first": 1, "prev": page - 1, "next": page + 1, "last": last}
    kept = [one for one in request.query_params.multi_items() if one[0] not in ("page", "per_page")]
    path = quote(str(request.scope["path"]))
    links = [
        f'<{path}?{urlencode([*kept, ("page", at), ("per_page", size)])}>; rel="{name}"'
        for name, at in others.items()
        if 1 <= at <= last
    ]
    return items[(page - 1) * size : page * size], headers | {"link": ", ".join(links)}
