"""The catalogue of texts, a file for each subject, and how the reader writes numbers and dates."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from markupsafe import Markup

FOLDER = Path(__file__).parent / "words"
IN_BROWSER = (
    "age.", "bands.", "bell.", "calendar.", "chart.", "comments.", "compare.", "copy.",
    "controls.", "drawn.", "drawn_", "failed.", "figures.",
    "insight.actual", "insight.expected", "insight.four_of_five", "insight.hour",
    "insight.need", "insight.counted",
    "insight.interval", "insight.normal", "insight.range",
    "late.", "loading", "none.", "overlay.", "product", "quality.", "recomputing.", "requests.",
    "state.", "sure.", "table.", "tile.", "why.", "why_of.", "worth.",
)  # fmt: skip
"""What the ES modules use; the rest stays on the server."""

_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


@cache
def catalogue(language: str = "en") -> dict[str, str]:
    """Return every text by its key, from one file for each subject.

    A key that stands twice is a bug: which of the texts would be shown?
    """
    texts: dict[str, str] = {}
    for path in sorted((FOLDER / language).glob("*.json")):
        own = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once)
        assert texts.keys().isdisjoint(own), (path.name, texts.keys() & own.keys())
        texts |= own
    return texts


def _once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return a file's texts, each of which stands in it once: ``json`` would take the last one."""
    own = dict(pairs)
    assert len(own) == len(pairs), [key for key, text in pairs if own[key] != text]
    return own


def t(key: str, **values: object) -> str:
    """Return a text with its placeholders filled in.

    Raises:
        KeyError: The catalogue has no such text, or the text wants a value that is missing.
    """
    text = catalogue()[key]
    return text.format(**values) if values else text


def utc(at_ms: int) -> str:
    """Return an instant for a page whose script then writes it on the reader's clock.

    Example:
        >>> utc(1_794_234_140_000)
        '2026-11-09 14:22 UTC'
    """
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


@cache
def words_json() -> Markup:
    """Return the browser's part of the catalogue, safe inside a ``script`` element."""
    texts = {key: text for key, text in catalogue().items() if key.startswith(IN_BROWSER)}
    return Markup(json.dumps(texts, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704


def locale(accept_language: str) -> str:
    """Return the reader's first language, for numbers and dates; English when unreadable."""
    first = accept_language.split(",", 1)[0].split(";", 1)[0].strip()
    return first if _LOCALE.fullmatch(first) else "en"
