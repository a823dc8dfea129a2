"""The form of a rule: texts as they were typed, and the terms that they mean."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from starlette.datastructures import FormData

from kilowatch.catalog import alerts, spans
from kilowatch.catalog.tables_alerts import AlertRule
from kilowatch.dashboard.numbers import whole_number
from kilowatch.dashboard.words import t
from kilowatch.model.errors import KilowatchError
from kilowatch.notify.quantities import QUANTITIES, SUMMED, parse_limit
from kilowatch.notify.rules import Terms
from kilowatch.notify.schedule import EVERY_DAY, clock_text

PERIODS = ("day", "week", "month")
ABOUT = ("all", "waste", "faults")
READINGS_MAX = 100
MINUTES_MAX = 31 * 24 * 60
LISTS = ("days", "channels", "escalation")


@dataclass(frozen=True, slots=True)
class Fields:
    """The form as it is filled in: texts, so that it comes back as it was sent."""

    name: str = ""
    kind: str = "offline"
    watched: str = "organisation"
    point: str = ""
    quantity: str = "aP"
    sum_of: str = "pC"
    direction: str = "above"
    limit: str = ""
    consecutive: str = "1"
    cooldown: str = ""
    period: str = "day"
    about: str = "all"
    measure: str = "energy"
    price: str = ""
    currency: str = "€"
    sum_limit: str = ""
    wait: str = ""
    days: tuple[str, ...] = tuple(map(str, EVERY_DAY))
    from_time: str = ""
    to_time: str = ""
    quiet_from: str = ""
    quiet_to: str = ""
    remind: str = ""
    escalate: str = ""
    recovery: str = "on"
    channels: tuple[str, ...] = ()
    escalation: tuple[str, ...] = ()

    @classmethod
    def of_form(cls, form: FormData) -> Fields:
        """Read what a browser sent."""
        values: dict[str, Any] = {}
        for one in fields(cls):
            if one.name in LISTS:
                values[one.name] = tuple(str(value) for value in form.getlist(one.name))
            else:
                values[one.name] = str(form.get(one.name, "")).strip()
        return cls(**values)

    @classmethod
    def of_rule(
        cls, row: AlertRule, terms: Terms, point: str, uses: dict[int, list[int]]
    ) -> Fields:
        """Fill the form with a rule."""
        watched = "point" if point else f"site:{row.site_id}" if row.site_id else "organisation"
        limit = shown_exactly(terms)
        summed = row.kind == "cumulated"
        whole_day = terms.from_min == terms.to_min
        quiet, usual = terms.quiet, cls()
        return cls(
            name=row.name,
            kind=row.kind,
            watched=watched,
            point=point,
            quantity=usual.quantity if summed or not terms.quantity else terms.quantity,
            sum_of=terms.quantity if summed else usual.sum_of,
            direction="above" if terms.above else "below",
            limit="" if summed else limit,
            consecutive=str(terms.consecutive),
            cooldown=minutes_text(terms.cooldown_min),
            period=terms.period,
            about=terms.about,
            measure="energy" if terms.price_per_kwh is None else "money",
            price="" if terms.price_per_kwh is None else f"{terms.price_per_kwh:g}",
            currency=terms.currency or usual.currency,
            sum_limit=limit if summed else "",
            wait=minutes_text(terms.wait_min),
            days=tuple(map(str, terms.days)),
            from_time="" if whole_day else clock_text(terms.from_min),
            to_time="" if whole_day else clock_text(terms.to_min),
            quiet_from=clock_text(quiet.from_min) if quiet else "",
            quiet_to=clock_text(quiet.to_min) if quiet else "",
            remind=minutes_text(terms.remind_min),
            escalate=minutes_text(terms.escalate_min),
            recovery="on" if terms.recovery else "",
            channels=tuple(map(str, uses.get(alerts.AT_ONCE, ()))),
            escalation=tuple(map(str, uses.get(alerts.ESCALATED, ()))),
        )

    def terms(self) -> Terms:
        """Return the terms that the form means.

        Raises:
            KilowatchError: With ``data["field"]``.
        """
        quiet_from, quiet_to = (
            _time(self.quiet_from, "quiet_from"),
            _time(self.quiet_to, "quiet_to"),
        )
        if (quiet_from is None) != (quiet_to is None) or (
            quiet_from is not None and quiet_from == quiet_to
        ):
            raise wrong("quiet_to", t("rule.quiet_wrong"))
        escalate_min = _minutes(self.escalate, "escalate")
        if bool(escalate_min) != bool(self.escalation):
            raise wrong("escalate", t("rule.escalate_wrong"))
        return Terms(
            **self._compared(),
            **self._hours(),
            quiet_from_min=quiet_from,
            quiet_to_min=quiet_to,
            wait_min=_minutes(self.wait, "wait") if self.kind == "offline" else 0,
            remind_min=_minutes(self.remind, "remind"),
            escalate_min=escalate_min,
            recovery=bool(self.recovery),
        )

    def _compared(self) -> dict[str, Any]:
        if self.kind == "threshold":
            return self._threshold()
        if self.kind == "sentinel":
            if self.about not in ABOUT:
                raise wrong("about", t("rule.choose"))
            return {"about": self.about}
        return self._sum() if self.kind == "cumulated" else {}

    def _threshold(self) -> dict[str, Any]:
        quantity = QUANTITIES.get(self.quantity)
        if quantity is None:
            raise wrong("quantity", t("rule.choose"))
        count = whole_number(self.consecutive)
        if count is None or not 1 <= count <= READINGS_MAX:
            raise wrong("consecutive", t("rule.consecutive_wrong", most=READINGS_MAX))
        limit, unit = parse_limit(self.limit, quantity.usual)
        if quantity.family is not None and unit != quantity.family.unit:
            raise wrong("limit", t("rule.unit_wrong", what=quantity.title, usual=quantity.usual))
        return {
            "quantity": quantity.key,
            "above": self.direction != "below",
            "limit": limit,
            "unit": unit,
            "consecutive": count,
            "cooldown_min": _minutes(self.cooldown, "cooldown"),
        }

    def _sum(self) -> dict[str, Any]:
        if self.sum_of not in SUMMED or self.period not in PERIODS:
            raise wrong("sum_of", t("rule.choose"))
        quantity = QUANTITIES[self.sum_of]
        found: dict[str, Any] = {"quantity": self.sum_of, "period": self.period}
        if self.measure == "money":
            price, limit = _number(self.price, "price"), _number(self.sum_limit, "sum_limit")
            return found | {
                "price_per_kwh": price, "limit": limit, "currency": self.currency[:5] or "€",
            }  # fmt: skip
        try:
            limit, unit = parse_limit(self.sum_limit, quantity.usual)
        except KilowatchError as error:
            error.data["field"] = "sum_limit"
            raise
        if quantity.family is not None and unit != quantity.family.unit:
            text = t("rule.unit_wrong", what=quantity.title, usual=quantity.usual)
            raise wrong("sum_limit", text)
        return found | {"limit": limit, "unit": unit}

    def _hours(self) -> dict[str, Any]:
        if self.kind == "cumulated":
            return {}
        days = tuple(day for day in EVERY_DAY if str(day) in self.days)
        if not days:
            raise wrong("days", t("rule.days_wrong"))
        start, end = _time(self.from_time, "from_time"), _time(self.to_time, "to_time")
        if (start is None) != (end is None):
            raise wrong("to_time", t("rule.times_wrong"))
        return {"days": days, "from_min": start or 0, "to_min": end or 0}


def shown_exactly(terms: Terms) -> str:
    """Return a rule's limit as its form has it: nothing of it is rounded away."""
    if not terms.quantity:
        return ""
    if terms.price_per_kwh is not None:
        return f"{terms.limit:.12g}"
    usual = QUANTITIES[terms.quantity].usual
    one, unit = parse_limit("1", usual)
    if unit == terms.unit:
        return f"{terms.limit / one:.12g} {usual}".strip()
    return f"{terms.limit:.12g} {terms.unit}".strip()


def _minutes(text: str, field: str) -> int:
    if not text or text == "0":
        return 0
    try:
        minutes = math.ceil(spans.parse_span(text) / 60)
    except KilowatchError as error:
        error.data["field"] = field
        raise
    if minutes > MINUTES_MAX:
        raise wrong(field, t("rule.too_long"))
    return minutes


def minutes_text(minutes: int) -> str:
    """Return a number of minutes as the form has it; empty for none."""
    return spans.interval_text(minutes * 60) if minutes else ""


def _time(text: str, field: str) -> int | None:
    if not text:
        return None
    hours, _, minutes = text.partition(":")
    hour, minute = whole_number(hours), whole_number(minutes[:2])
    if hour is None or minute is None or hour > 23 or minute > 59:
        raise wrong(field, t("rule.time_wrong"))
    return hour * 60 + minute


def _number(text: str, field: str) -> float:
    try:
        value = float(text.replace(",", ".").replace(" ", ""))
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= 0:
        raise wrong(field, t("rule.number_wrong"))
    return value


def wrong(field: str, detail: str) -> KilowatchError:
    """Return what is wrong with a field."""
    return KilowatchError("invalid_rule", detail, data={"field": field})
