"""The forms of Data quality: what a person fills in, as a draft or a record about the meter.

Times are on the site's clock. What a link filled in is kept to the millisecond unless the person
changes it; of an hour that comes twice, a beginning is the first one and an end the second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from kilowatch.catalog import corrections, meter_events, point_settings
from kilowatch.catalog.changes import Change
from kilowatch.catalog.corrections_check import Draft
from kilowatch.catalog.histories import COLUMNS, event_of, periods_of
from kilowatch.catalog.tables import DataPoint as PointRow
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.quality_figures import unit_of
from kilowatch.dashboard.quality_history import readable
from kilowatch.dashboard.words import t
from kilowatch.model.dated import EVENT_KINDS
from kilowatch.model.editing import METHODS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import CHANNEL_BY_NAME, VALUE, Role, family_of
from kilowatch.model.points import DataPoint

Group = Literal["judge", "correct", "meter"]

KINDS: dict[Group, tuple[str, ...]] = {
    "judge": ("accept", "confirm", "comment"),
    "correct": ("fill", "spread", "edit"),
    "meter": EVENT_KINDS,
}
"""What each form does; the first is what it opens with."""

FIELDS = (
    "kind", "from", "from_ms", "to", "to_ms", "channel", "value", "method", "sister", "comment",
    "width", "first", "last",
)  # fmt: skip
WITH_METER = ("multiplier", "ct_ratio", "vt_ratio", "pulse_weight", "register_max")
"""What else a new meter changes from its first reading on."""

COMMENT_NEEDED = frozenset({"fill", "spread", "edit", "comment", *EVENT_KINDS})
"""Whoever changes a figure says why."""

COMMENT_MAX = {"judge": 1_000, "correct": 1_000, "meter": 300}
USUAL = ("pC_1", "pC_2", "pC_3")
"""Registers of an electrical meter that has sent nothing yet."""

INSTANTS = (("from", "from_ms"), ("to", "to_ms"))


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that can be applied.

    Attributes:
        group: Which form.
        kind: What it does.
        from_ms: Start of what it is about, or the instant of a record [ms since 1970, UTC].
        to_ms: Its end; of bad readings, the last one [ms since 1970, UTC].
        draft: The correction; None for a record about the meter.
        channel: Of a record; empty for all.
        registers: Last and first figure by register, of an exchange.
        figure: Width of a roll-over, or what a register was reset to.
        comment: Why.
        settings: What else an exchange changes, of ``WITH_METER``.
    """

    group: Group
    kind: str
    from_ms: int
    to_ms: int
    draft: Draft | None
    channel: str
    registers: dict[str, meter_events.Figures]
    figure: float
    comment: str
    settings: dict[str, float] = field(default_factory=dict)


def filled(
    point: DataPoint, group: Group, fields: Mapping[str, str], registers: list[str]
) -> Filled:
    """Read a form.

    Args:
        point: The data point.
        group: Which form.
        fields: What was sent.
        registers: Those that an exchange asks figures of.

    Raises:
        KilowatchError: ``invalid_correction``; ``data["field"]`` names what is wrong.
    """
    kind = fields.get("kind") or KINDS[group][0]
    if kind not in KINDS[group]:
        raise _invalid("kind", t("form.bad_kind"))
    comment = fields.get("comment", "")
    if kind in COMMENT_NEEDED and not comment:
        raise _invalid("comment", t("form.why"))
    if len(comment) > COMMENT_MAX[group]:
        raise _invalid("comment", t("form.too_long", n=COMMENT_MAX[group]))
    from_ms = _instant(point, fields, "from", "from_ms")
    if from_ms is None:
        raise _invalid("from", t("form.no_time"))
    to_ms = _instant(point, fields, "to", "to_ms")
    if group != "meter":
        if to_ms is None:
            raise _invalid("to", t("form.no_time"))
        draft = _draft(point, kind, fields, from_ms, to_ms)
        return Filled(group, kind, from_ms, to_ms, draft, "", {}, 0.0, comment)
    ends = to_ms if kind == "bad" and to_ms is not None else from_ms
    figures, figure = {}, 0.0
    settings: dict[str, float] = {}
    if kind == "exchange":
        told = {name: _figure(fields, name) for name in with_meter(point)}
        settings = {name: value for name, value in told.items() if value is not None}
        figures = {
            name: (_figure(fields, f"last_{name}"), _figure(fields, f"first_{name}"))
            for name in registers
        }
        figures = {name: two for name, two in figures.items() if two != (None, None)}
    elif kind in {"reset", "roll_over"}:
        name = "first" if kind == "reset" else "width"
        found = _figure(fields, name)
        if found is None:
            raise _invalid(name, t("form.no_figure"))
        figure = found
    channel = "" if kind == "exchange" else fields.get("channel", "")
    return Filled(group, kind, from_ms, ends, None, channel, figures, figure, comment, settings)


def _draft(
    point: DataPoint, kind: str, fields: Mapping[str, str], from_ms: int, to_ms: int
) -> Draft:
    channel = fields.get("channel", "")
    value = None
    if kind == "edit":
        channel = channel or ("value" if point.kind == "single" else "")
        if channel not in CHANNEL_BY_NAME:
            raise _invalid("channel", t("form.no_channel"))
        shown = _figure(fields, "value")
        if shown is None:
            raise _invalid("value", t("form.no_figure"))
        per_unit = round(1 / readable(1.0, value_unit(point, channel))[0])
        value = float(Decimal(repr(shown)) * per_unit)  # 4.1 kWh are 4100 Wh to the digit
    method: Any = fields.get("method", "") or None
    if kind not in {"fill", "spread"} or (kind == "spread" and method == "even"):
        method = None
    elif method not in METHODS:
        raise _invalid("method", t("form.no_method"))
    sister = whole_number(fields.get("sister", "")) if method == "sister" else None
    if method == "sister" and sister is None:
        raise _invalid("sister", t("form.no_sister"))
    return Draft(
        kind,  # type: ignore[arg-type]
        from_ms,
        to_ms,
        channel=channel,
        value=value,
        method=method,
        sister_id=sister,
        comment=fields.get("comment", ""),
    )


def value_unit(point: DataPoint, channel: str) -> str:
    """Return the canonical unit of an edit: of a rate the mean, not what it adds up to."""
    code = CHANNEL_BY_NAME[channel]
    if code == VALUE and point.behaviour == "rate":
        return point.unit_of_value.canonical
    return unit_of(point, code)


def record(change: Change, point_id: int, form: Filled) -> None:
    """Apply a form in an open change.

    Raises:
        KilowatchError: What ``catalog.corrections`` and ``catalog.meter_events`` refuse.
    """
    if form.draft is not None:
        corrections.add(change, point_id, form.draft)
        return
    row = change.session.get(PointRow, point_id)
    assert row is not None
    at_ms, channel, comment = form.from_ms, form.channel, form.comment
    if form.kind == "exchange":
        meter_events.exchange(
            change, row, at_ms, form.registers, settings=form.settings, comment=comment
        )
    elif form.kind == "reset":
        meter_events.reset(change, row, at_ms, to=form.figure, channel=channel, comment=comment)
    elif form.kind == "roll_over":
        meter_events.roll_over(
            change, row, at_ms, width=form.figure, channel=channel, comment=comment
        )
    else:
        until_ms = None if form.to_ms == at_ms else form.to_ms
        meter_events.mark_bad(change, row, at_ms, until_ms, channel=channel, comment=comment)


def form_href(point: DataPoint, group: str, **fields: Any) -> str:
    """Return the address of a form with its fields filled in."""
    text = {name: value for name, value in fields.items() if value is not None and value != ""}
    return f"/quality/{point.id}/{group}?{urlencode(text)}"


def prefilled(point: DataPoint, query: Mapping[str, str]) -> dict[str, str]:
    """Return a form's fields as a link fills them in."""
    fields = {name: query.get(name, "")[:100] for name in FIELDS}
    # Decisions about a dial speak of one instant, findings of a range.
    fields["from_ms"] = fields["from_ms"] or query.get("at_ms", "")[:20]
    fields["to_ms"] = fields["to_ms"] or query.get("until_ms", "")[:20]
    for shown, exact in INSTANTS:
        at_ms = whole_number(fields[exact])
        fields[shown] = local_input(at_ms, point.zone) if at_ms is not None else fields[shown]
    channel = fields["channel"]
    for name in ("last", "first"):  # of one register; the form of an exchange asks for each
        if fields[name] and channel:
            fields[f"{name}_{channel}"] = fields[name]
    if fields["kind"] == "edit" and not channel and point.kind == "single":
        fields["channel"] = "value"
    return fields


def sent(form: Mapping[str, Any], registers: list[str]) -> dict[str, str]:
    """Return a form's fields as they were sent."""
    names = [
        *FIELDS,
        *WITH_METER,
        *(f"{side}_{name}" for name in registers for side in ("last", "first")),
    ]
    return {name: str(form.get(name, "")).strip()[:1_100] for name in names}


def local_input(at_ms: int, zone: str) -> str:
    """Return an instant for a ``datetime-local`` field of the site's clock."""
    local = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(zone))
    return local.replace(tzinfo=None).isoformat()


def _instant(point: DataPoint, fields: Mapping[str, str], shown: str, exact: str) -> int | None:
    text = fields.get(shown, "")
    if not text:
        return None
    try:
        local = datetime.fromisoformat(text)
    except ValueError:
        raise _invalid(shown, t("form.bad_time")) from None
    at_ms = whole_number(fields.get(exact, ""))
    # Browsers leave out seconds that are zero: instants are compared, not texts.
    if at_ms is not None and local == datetime.fromisoformat(local_input(at_ms, point.zone)):
        return at_ms
    if local.tzinfo is not None or not 1971 <= local.year <= 2100:
        raise _invalid(shown, t("form.bad_time"))
    second = 1 if shown == "to" else 0
    return round(local.replace(tzinfo=ZoneInfo(point.zone), fold=second).timestamp() * 1000)


def _figure(fields: Mapping[str, str], name: str) -> float | None:
    text = fields.get(name, "").replace("\N{NO-BREAK SPACE}", "").replace(" ", "")
    if not text:
        return None
    try:
        figure = float(text)
    except ValueError:
        raise _invalid(name, t("form.bad_figure")) from None
    if not math.isfinite(figure):
        raise _invalid(name, t("form.bad_figure"))
    return figure


def with_meter(point: DataPoint) -> list[str]:
    """Return what else a new meter of this kind of data point may change."""
    other = {"pulse_weight"} if point.kind == "electrical" else {"ct_ratio", "vt_ratio"}
    return [name for name in WITH_METER if name not in other]


def registers_of(point: DataPoint, channels: list[int]) -> list[str]:
    """Return the registers that an exchange asks figures of: those that have had data."""
    if point.kind == "single":
        return ["value"]
    known = {CHANNEL_BY_NAME[name]: name for name in meter_events.REGISTERS}
    return [name for code, name in known.items() if code in channels] or list(USUAL)


def channels_of_kind(kind: str, channels: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return which channels a form lets choose: a register's, or what can be edited."""
    if kind in {"roll_over", "reset"}:
        return [one for one in channels if one[0] in {"value", *meter_events.REGISTERS}]
    if kind == "bad":
        return [one for one in channels if one[0] == "value" or "_" in one[0]]
    return [
        one
        for one in channels
        if (family := family_of(CHANNEL_BY_NAME[one[0]])) is None or family.role is not Role.RATIO
    ]


def as_tried(session: Session, point: DataPoint) -> DataPoint:
    """Return a data point as a change that is only tried makes it, for a preview."""
    row = session.get(PointRow, point.id)
    assert row is not None
    columns = {name: getattr(row, name) for name in COLUMNS}
    dated = [(one.from_ms, one.fields) for one in point_settings.history(session, row)]
    events = tuple(event_of(one) for one in meter_events.events(session, row))
    periods = periods_of(columns, dated) if dated else ()
    return replace(point, history=replace(point.history, events=events, periods=periods))


def _invalid(field: str, detail: str) -> KilowatchError:
    return KilowatchError("invalid_correction", detail, data={"field": field})
