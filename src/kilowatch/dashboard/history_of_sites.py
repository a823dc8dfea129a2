"""What the history's sentences about facts of sites and verdicts may speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kilowatch.dashboard.words import catalogue, t

STAYING = (
    "utility", "per", "per_unit", "kg_per_unit", "label", "source", "from_day", "hours",
    "first_day", "last_day", "open", "lasts", "verdict", "kind",
)  # fmt: skip
"""Columns that a change may leave alone and its sentence speaks of all the same."""


def said(columns: Mapping[str, Any], place: str) -> dict[str, str]:
    """Return the parts of sentences by their name; empty where a row has no such thing.

    Args:
        columns: Of the entry, and of the row where a change left them alone.
        place: The site or data point that the entry is about; empty for the whole organisation.
    """
    first, last = str(columns.get("first_day") or ""), str(columns.get("last_day") or "")
    day = columns.get("from_day")
    return {
        "where": place or t("history.every_site"),
        "utility": _word(f"utility.{columns.get('utility')}"),
        "amount": _amount(columns),
        "origin": str(columns.get("label") or columns.get("source") or ""),
        "from_day": t("dated.since", at=day) if day else t("dated.always_so"),
        "days": first if last in ("", first) else f"{first} – {last}",
        "as_what": t("days.open") if columns.get("open") else t("days.closed"),
        "hours": str(columns.get("hours") or t("hours.learnt")),
        "verdict": _word(f"history_verdict.{columns.get('verdict') or 'comment'}"),
    }


def _amount(columns: Mapping[str, Any]) -> str:
    per = str(columns.get("per") or "").replace("m3", "m³")
    if isinstance(price := columns.get("per_unit"), int | float):
        return f"{price:.15g}/{per}"
    if isinstance(factor := columns.get("kg_per_unit"), int | float):
        return f"{factor:.15g} kg/{per}"
    return ""


def _word(key: str) -> str:
    return t(key) if key in catalogue() else ""
