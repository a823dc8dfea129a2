"""What a person records about a meter: exchange, reset, roll-over, bad readings.

The readings stay as they were pushed. What is recorded says what they mean, takes effect on
every figure within seconds, and can be taken back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.point_settings import EARLIEST_MS, change_from
from kilowatch.catalog.tables import DataPoint
from kilowatch.catalog.tables_settings import RecordedEvent
from kilowatch.model.dated import EVENT_KINDS
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import (
    CHANNEL_BY_NAME,
    ENERGY_CHANNELS,
    PARAMETER_BY_CHANNEL,
)

Figures = tuple[float | None, float | None]
"""Last figure of the old register and first of the new one [as pushed]; None if unknown."""

REGISTERS = tuple(
    name for code, name in PARAMETER_BY_CHANNEL.items() if code - code % 4 in ENERGY_CHANNELS
)
"""Registers of an electrical data point, by parameter."""

_BEGIN_ANEW = ("exchange", "reset")  # of one register, at one instant, there is one or the other


def events(session: Session, point: DataPoint) -> list[RecordedEvent]:
    """Return what was recorded about a data point, oldest first."""
    statement = select(RecordedEvent).where(RecordedEvent.data_point_id == point.id)
    return list(session.scalars(statement.order_by(RecordedEvent.at_ms, RecordedEvent.id)))


def exchange(
    change: Change,
    point: DataPoint,
    at_ms: int,
    registers: Mapping[str, Figures],
    *,
    settings: Mapping[str, Any] | None = None,
    comment: str = "",
) -> list[RecordedEvent]:
    """Record that a meter was exchanged: the new one's registers count on.

    Args:
        change: An open change.
        point: A row of the change's session.
        at_ms: When [ms since 1970, UTC].
        registers: Last and first figure, by parameter (``pC_1``), ``value`` for a single value.
            A register that is not named begins anew: what it counted since its last reading
            is not known.
        settings: What else the new meter changes from then on (``ct_ratio``, ``register_max``).
        comment: Why, or the meters' numbers.

    Raises:
        KilowatchError: ``no_register``, ``unknown_register``, ``invalid_figure``,
            ``event_exists``, ``future_date``, or what ``change_from`` refuses.
    """
    _check_register(point)
    for name, (last, first) in registers.items():
        _check_channel(point, name)
        _check_figure("last", last)
        _check_figure("first", first)
    found = [
        _add(change, point, "exchange", at_ms, name, comment, last=last, first=first)
        for name, (last, first) in registers.items()
    ]
    if point.kind == "electrical" or not registers:
        found.append(_add(change, point, "exchange", at_ms, "", comment))
    if settings:
        change_from(change, point, settings, at_ms, comment=comment)
    return found


def reset(
    change: Change,
    point: DataPoint,
    at_ms: int,
    *,
    to: float = 0.0,
    channel: str = "",
    comment: str = "",
) -> RecordedEvent:
    """Record that a register was set to a figure; what it counted just before is not known.

    Raises:
        KilowatchError: As ``exchange``.
    """
    _check_register(point)
    _check_channel(point, channel)
    _check_figure("to", to)
    return _add(change, point, "reset", at_ms, channel, comment, first=float(to))


def roll_over(
    change: Change,
    point: DataPoint,
    at_ms: int,
    *,
    width: float,
    channel: str = "",
    comment: str = "",
) -> RecordedEvent:
    """Decide that a fall was a roll-over.

    Args:
        change: An open change.
        point: A row of the change's session.
        at_ms: Effective instant of the reading that is lower [ms since 1970, UTC].
        width: First figure that the register does not reach: 1000000 for six digits.
        channel: Which register; all of them if empty.
        comment: Why.

    Raises:
        KilowatchError: As ``exchange``.
    """
    _check_register(point)
    _check_channel(point, channel)
    _check_figure("width", width)
    if width <= 0:
        raise _invalid("width", "The register's width must be a number above zero.")
    return _add(change, point, "roll_over", at_ms, channel, comment, width=float(width))


def mark_bad(
    change: Change,
    point: DataPoint,
    from_ms: int,
    until_ms: int | None = None,
    *,
    channel: str = "",
    comment: str = "",
) -> RecordedEvent:
    """Leave out readings as if they had never been sent; the source keeps them.

    Args:
        change: An open change.
        point: A row of the change's session.
        from_ms: Effective instant of the first, or of the only one [ms since 1970, UTC].
        until_ms: Of the last, itself included; None for one reading.
        channel: Which quantity; the whole packet if empty.
        comment: Why.

    Raises:
        KilowatchError: As ``exchange``; ``invalid_date`` when it ends before it begins.
    """
    _check_channel(point, channel)
    if until_ms is not None and until_ms < from_ms:
        raise KilowatchError(
            "invalid_date",
            "The time of the bad readings ends before it begins.",
            data={"field": "until"},
        )
    return _add(change, point, "bad", from_ms, channel, comment, until_ms=until_ms)


def decide(
    change: Change, point: DataPoint, decision: Mapping[str, Any], *, comment: str = ""
) -> list[RecordedEvent]:
    """Record one of the decisions that a finding ``register.fell`` offers.

    Raises:
        KilowatchError: ``unknown_decision``, or what the decision's own function refuses.
    """
    kind, at_ms = decision.get("kind"), decision.get("at_ms")
    if kind not in EVENT_KINDS or not isinstance(at_ms, int):
        raise KilowatchError(
            "unknown_decision",
            f"{kind!r} is not a decision about a register.",
            remedy=f"There are: {', '.join(EVENT_KINDS)}.",
            data={"field": "kind"},
        )
    channel = str(decision.get("channel") or "")
    if kind == "exchange":
        figures = (decision.get("last"), decision.get("first"))
        _check_register(point)
        _check_channel(point, channel)
        for name, figure in zip(("last", "first"), figures, strict=True):
            _check_figure(name, figure)
        last, first = figures
        return [_add(change, point, kind, at_ms, channel, comment, last=last, first=first)]
    if kind == "reset":
        to = decision.get("first", 0.0)
        return [reset(change, point, at_ms, to=to, channel=channel, comment=comment)]
    if kind == "roll_over":
        width = decision.get("width", math.nan)
        return [roll_over(change, point, at_ms, width=width, channel=channel, comment=comment)]
    until_ms = decision.get("until_ms")
    return [mark_bad(change, point, at_ms, until_ms, channel=channel, comment=comment)]


def undo(change: Change, point: DataPoint, event_id: int) -> None:
    """Take back what was recorded, and with it what was recorded at the same exchange.

    Raises:
        KilowatchError: ``unknown_event``.
    """
    row = change.session.get(RecordedEvent, event_id)
    if row is None or row.data_point_id != point.id:
        raise KilowatchError(
            "unknown_event",
            f"Nothing with the number {event_id} was recorded about {point.name}.",
            status=404,
            remedy="'kilowatch data-point history' shows what was recorded.",
        )
    for other in events(change.session, point):
        same = other.kind == row.kind == "exchange" and other.at_ms == row.at_ms
        if other.id == row.id or same:
            change.session.delete(other)
    change.session.flush()


def _add(
    change: Change,
    point: DataPoint,
    kind: Any,
    at_ms: int,
    channel: str,
    comment: str,
    **figures: Any,
) -> RecordedEvent:
    if not EARLIEST_MS <= at_ms <= change.now_ms:
        raise KilowatchError(
            "future_date" if at_ms > change.now_ms else "invalid_date",
            "What is recorded about a meter has happened, since 1971 and until now.",
            data={"field": "at"},
        )
    known = select(RecordedEvent).where(
        RecordedEvent.data_point_id == point.id,
        RecordedEvent.kind.in_(_BEGIN_ANEW if kind in _BEGIN_ANEW else (kind,)),
        RecordedEvent.at_ms == at_ms,
        RecordedEvent.channel == channel,
    )
    if change.session.scalar(known) is not None:
        raise KilowatchError(
            "event_exists",
            f"That was recorded about {point.name} already.",
            status=409,
            remedy="Take the first one back, if it was wrong.",
            data={"field": "at"},
        )
    row = RecordedEvent(
        organisation_id=point.organisation_id,
        data_point_id=point.id,
        kind=kind,
        at_ms=at_ms,
        channel=channel,
        comment=comment,
        created_at_ms=change.now_ms,
        **figures,
    )
    change.session.add(row)
    change.session.flush()
    return row


def _check_register(point: DataPoint) -> None:
    # Behaviour may have been another one at the time: an electrical point's at any rate.
    if point.kind == "electrical" or point.behaviour == "register":
        return
    raise KilowatchError(
        "no_register",
        f"{point.name} is a {point.behaviour}: it has no register.",
        status=409,
        remedy="Only a dial that counts up is exchanged, reset or rolls over.",
    )


def _check_channel(point: DataPoint, channel: str) -> None:
    if not channel:
        return
    known = CHANNEL_BY_NAME.get(channel)
    single = point.kind == "single"
    if (channel == "value") if single else (known is not None and known in PARAMETER_BY_CHANNEL):
        return
    names = "value" if single else ", ".join(REGISTERS)
    raise KilowatchError(
        "unknown_register",
        f"{point.name} has no register {channel!r}.",
        remedy=f"Its registers are: {names}.",
        data={"field": "channel"},
    )


def _check_figure(field: str, figure: Any) -> None:
    if figure is None:
        return
    number = isinstance(figure, int | float) and not isinstance(figure, bool)
    if not number or not math.isfinite(figure):
        raise _invalid(field, f"{figure!r} is not a figure that a register can show.")


def _invalid(field: str, detail: str) -> KilowatchError:
    return KilowatchError("invalid_figure", detail, data={"field": field})
