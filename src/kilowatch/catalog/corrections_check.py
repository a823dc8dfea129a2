"""Whether a correction or a rule makes sense, in words that a form can show beside its field."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from kilowatch.catalog.formula_use import formula_of
from kilowatch.catalog.tables import DataPoint
from kilowatch.model.editing import CORRECTION_KINDS, METHODS, CorrectionKind, Method, Rules
from kilowatch.model.errors import KilowatchError
from kilowatch.model.lengths import DAY_MS
from kilowatch.model.parameters import CHANNEL_BY_NAME, VALUE, Role, family_of

COMMENT_MAX = 1_000
RANGE_MS_MAX = 92 * DAY_MS
"""Longest range of an estimate [ms]: a quarter of a year, and whoever looks at a day of it reads
the whole."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A correction as a person fills it in.

    Attributes:
        kind: What to do (``model.editing.Correction``).
        from_ms: Start of the range [ms since 1970, UTC].
        to_ms: Its end [ms].
        channel: Name of the channel (``value``, ``pC``); empty for all.
        value: Of an edit [canonical unit: Wh, W, m³, °C, …].
        method: Of a fill; of a spread None spreads evenly over the time.
        sister_id: Data point whose shape is taken.
        comment: Why.
    """

    kind: CorrectionKind
    from_ms: int
    to_ms: int
    channel: str = ""
    value: float | None = None
    method: Method | None = None
    sister_id: int | None = None
    comment: str = ""


def checked(session: Session, point: DataPoint, draft: Draft, now_ms: int) -> Draft:
    """Return a draft that can be applied.

    Raises:
        KilowatchError: ``invalid_correction``; ``data["field"]`` names what is wrong.
    """
    if draft.kind not in CORRECTION_KINDS:
        raise _invalid("kind", f"{draft.kind!r} is no correction.", _one_of(CORRECTION_KINDS))
    if draft.method is not None and draft.method not in METHODS:
        raise _invalid("method", f"{draft.method!r} is no method.", _one_of(METHODS))
    draft = replace(draft, comment=draft.comment.strip())
    _check_range(draft, now_ms)
    _check_channel(point, draft)
    _check_value(draft)
    _check_method(session, point, draft)
    if draft.kind == "comment" and not draft.comment:
        raise _invalid("comment", "A comment without words says nothing.", "Write what you know.")
    if len(draft.comment) > COMMENT_MAX:
        raise _invalid("comment", "The comment is too long.", "Use 1,000 characters at most.")
    return draft


def _check_range(draft: Draft, now_ms: int) -> None:
    if draft.from_ms >= draft.to_ms:
        raise _invalid("to", "The range ends before it begins.", "Choose a later end.")
    if draft.kind != "comment" and draft.to_ms > now_ms + DAY_MS:
        raise _invalid(
            "to",
            "The range ends in the future.",
            "Correct what has been; rules look after what will be.",
        )
    if draft.kind in {"fill", "spread", "edit"} and draft.to_ms - draft.from_ms > RANGE_MS_MAX:
        raise _invalid(
            "to",
            f"The range is longer than {RANGE_MS_MAX // DAY_MS} days.",
            "Correct it in parts.",
        )


def _check_channel(point: DataPoint, draft: Draft) -> None:
    single = point.kind == "single"
    if draft.channel not in CHANNEL_BY_NAME.keys() | {""} or (
        draft.channel and single != (CHANNEL_BY_NAME[draft.channel] == VALUE)
    ):
        raise _invalid(
            "channel",
            f"{point.name} has no channel {draft.channel!r}.",
            "Use value." if single else "Use a parameter such as aP_1, or a total such as pC.",
        )
    family = family_of(CHANNEL_BY_NAME[draft.channel]) if draft.channel else None
    if draft.kind == "edit" and family is not None and family.role is Role.RATIO:
        raise _invalid(
            "channel",
            "A power factor follows from its powers and can't be set.",
            "Correct the active or apparent power.",
        )


def _check_value(draft: Draft) -> None:
    if (draft.kind == "edit") != (draft.value is not None):
        raise _invalid(
            "value",
            "An edit needs a value." if draft.kind == "edit" else "Only an edit has a value.",
            "Give the figure that the interval should have, or choose another correction.",
        )
    if draft.value is not None and not math.isfinite(draft.value):
        raise _invalid("value", "The value is not a number.", "Give a number.")
    if draft.kind == "edit" and not draft.channel:
        raise _invalid("channel", "An edit is of one channel.", "Choose the channel.")


def _check_method(session: Session, point: DataPoint, draft: Draft) -> None:
    if draft.kind == "fill" and draft.method is None:
        raise _invalid("method", "A fill needs a method.", _one_of(METHODS))
    if draft.method is not None and draft.kind not in {"fill", "spread"}:
        raise _invalid("method", "Only a fill and a spread have a method.", "Leave it out.")
    if (draft.method == "sister") != (draft.sister_id is not None):
        raise _invalid(
            "sister",
            "The method sister needs another meter, and only that one does.",
            "Choose the meter whose shape is to be taken.",
        )
    if draft.sister_id is None:
        return
    other = session.get(DataPoint, draft.sister_id)
    if other is None or other.organisation_id != point.organisation_id or other.id == point.id:
        raise _invalid(
            "sister",
            "There is no such other data point in this organisation.",
            "Choose one that measured at the same time.",
        )
    if formula_of(session, other.id) is not None:
        raise _invalid(
            "sister",
            f"{other.name} is computed from other data points.",
            "Choose a meter that measures.",
        )
    if other.utility != point.utility:
        raise _invalid(
            "sister",
            f"{other.name} measures {other.utility}, {point.name} {point.utility}.",
            "Choose a meter of the same utility.",
        )


def check_rules(rules: Rules) -> None:
    """Refuse limits that can't be meant.

    Raises:
        KilowatchError: ``invalid_rule``; ``data["field"]`` names what is wrong.
    """
    limits: dict[str, tuple[Any, float, str]] = {
        "demand_max": (rules.demand_max, 0.0, "a demand above zero"),
        "spike_factor": (rules.spike_factor, 1.0, "a factor above 1"),
        "zero_run_s": (rules.zero_run_s, 0, "a time above zero"),
        "estimate_up_to_s": (rules.estimate_up_to_s, 0, "a time above zero"),
    }
    for name, (limit, least, wanted) in limits.items():
        if limit is not None and not (math.isfinite(limit) and limit > least):
            raise _invalid_rule(name, f"{limit} is not {wanted}.", "Leave it out to switch it off.")
    longest_s = 31 * 86_400
    for name in ("zero_run_s", "estimate_up_to_s"):
        if (getattr(rules, name) or 0) > longest_s:
            raise _invalid_rule(name, "That is longer than a month.", "Use 31 days at most.")
    tolerance = rules.sum_tolerance
    if tolerance is not None and not 0 <= tolerance <= 1:
        raise _invalid_rule(
            "sum_tolerance", f"{tolerance} is not a share.", "Use 0.05 for 5 %, 0 to switch it off."
        )
    if rules.estimate_method not in {"linear", "profile"}:
        raise _invalid_rule(
            "estimate_method", "A rule has no sister meter.", _one_of(("linear", "profile"))
        )


def _one_of(words: tuple[str, ...]) -> str:
    return f"Choose one of: {', '.join(words)}."


def _invalid(field: str, detail: str, remedy: str) -> KilowatchError:
    return KilowatchError("invalid_correction", detail, remedy=remedy, data={"field": field})


def _invalid_rule(field: str, detail: str, remedy: str) -> KilowatchError:
    return KilowatchError("invalid_rule", detail, remedy=remedy, data={"field": field})
