"""What was true of a data point when: settings by period, and what happened to its meter.

A current transformer is exchanged, a dial is read at a meter exchange, a calorific value is
announced for a month. A reading keeps what was pushed; what it means follows from the period
that its effective instant lies in (docs/reference/intervals.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from kilowatch.model.units import UNITS, Unit

if TYPE_CHECKING:
    from kilowatch.model.points import Behaviour, Clock, Stamp

ALWAYS_MS = 0
"""Where the first period begins: no packet is older than 1971."""

EventKind = Literal["exchange", "reset", "roll_over", "bad"]
EVENT_KINDS: tuple[EventKind, ...] = ("exchange", "reset", "roll_over", "bad")

_ELECTRICAL = ("Wh", "W")


@dataclass(frozen=True, slots=True)
class Period:
    """The settings of a data point from an instant until the next period begins.

    Attributes:
        from_ms: Effective instant of its beginning; ``ALWAYS_MS`` for the first [ms].
        unit: Of ``value``.
        interval_s: Expected interval [s].
        tolerance_s: How much later than the interval a packet may come [s].
        behaviour: Of ``value``, or of an electrical point's energies.
        stamp: Whether an amount's time is the start or the end of its interval.
        clock: Which part of a timestamp to believe.
        register_max: First value that the register does not reach [as pushed].
        multiplier: Of everything that is counted or measured.
        ct_ratio: Primary over secondary current of the current transformers.
        vt_ratio: Primary over secondary voltage of the voltage transformers.
        pulse_weight: What one pulse stands for [``unit``].
        calorific_kwh_per_m3: Energy of a cubic metre of gas; None if it is not known.
        volume_correction: From metered to standard cubic metres, on the way to energy.
    """

    from_ms: int
    unit: str
    interval_s: int
    tolerance_s: float
    behaviour: Behaviour
    stamp: Stamp = "start"
    clock: Clock = "auto"
    register_max: float | None = None
    multiplier: float = 1.0
    ct_ratio: float = 1.0
    vt_ratio: float = 1.0
    pulse_weight: float = 1.0
    calorific_kwh_per_m3: float | None = None
    volume_correction: float = 1.0

    @property
    def unit_of_value(self) -> Unit:
        """The unit's conversion to the interval layer."""
        return UNITS[self.unit]

    @property
    def gap_ms(self) -> int:
        """Longest time between two readings that is not a gap [ms]."""
        return round((self.interval_s + self.tolerance_s) * 1000)

    def scale(self, kind: str) -> float:
        """Return what counts and powers are multiplied with, besides the unit's own factor.

        Transformers apply to what passes through them: of a single value to a power or an
        energy with both ratios, to a current or a voltage with its own.
        """
        both = self.ct_ratio * self.vt_ratio
        if kind == "electrical":
            return self.multiplier * both
        symbol = self.unit_of_value.canonical
        through = {"A": self.ct_ratio, "V": self.vt_ratio} | dict.fromkeys(_ELECTRICAL, both)
        return self.multiplier * through.get(symbol, 1.0) * self.pulse_weight

    @property
    def energy_wh_per_m3(self) -> float | None:
        """Energy of a metered cubic metre; None where the gas is not known."""
        if self.calorific_kwh_per_m3 is None:
            return None
        return self.calorific_kwh_per_m3 * self.volume_correction * 1000.0


@dataclass(frozen=True, slots=True)
class MeterEvent:
    """Something that a person has recorded about a meter's registers or readings.

    Attributes:
        kind: ``exchange`` (another meter counts on), ``reset`` (the register was set back),
            ``roll_over`` (a fall was one) or ``bad`` (readings that count as absent).
        at_ms: When, effective instant; of a roll-over, the reading that is lower; of bad
            readings, the first [ms].
        channel: Which register or quantity; None for all of them.
        last: Last figure of the old register [as pushed]; None if nobody read it.
        first: First figure of the new register, or what it was set to [as pushed].
        width: Of a register that rolled over: the first value that it does not reach.
        until_ms: Of bad readings, the last one, itself included [ms].
    """

    kind: EventKind
    at_ms: int
    channel: int | None = None
    last: float | None = None
    first: float | None = None
    width: float | None = None
    until_ms: int | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What changed in the course of time; empty for nearly all data points.

    Attributes:
        periods: Whole settings by period, rising, the first from ``ALWAYS_MS`` on; the last
            one's are the data point's own. Empty where nothing is dated and no factor set.
        events: By instant.
        zones: From when on which time zone, the first from ``ALWAYS_MS`` on; empty for one.
        formulas: From when on which formula, the first from ``ALWAYS_MS`` on; empty for one, and
            for a data point whose packets are pushed.
    """

    periods: tuple[Period, ...] = ()
    events: tuple[MeterEvent, ...] = ()
    zones: tuple[tuple[int, str], ...] = ()
    formulas: tuple[tuple[int, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.periods or self.events or self.zones or self.formulas)

    def at(self, at_ms: int) -> Period | None:
        """Return the settings in force at an effective instant; None where none are dated."""
        found = None
        for period in self.periods:
            if found is None or period.from_ms <= at_ms:
                found = period
        return found

    def zone_name(self, present: str) -> str:
        """Return the name of the site's zone over time, as ``Zone.of`` reads it."""
        if not self.zones:
            return present
        first, *later = self.zones
        return "|".join([first[1], *(f"{from_ms}|{name}" for from_ms, name in later)])

    def plain(self) -> dict[str, Any]:
        """Return what figures depend on, besides zones, as plain values that can be stored.

        Formulas are only there where several are: what was computed before still fits.
        """
        dated = [{"from_ms": from_ms, "text": text} for from_ms, text in self.formulas]
        plain: dict[str, Any] = {"periods": _plain(self.periods), "events": _plain(self.events)}
        return plain | ({"formulas": dated} if dated else {})

    @staticmethod
    def of_plain(stored: Mapping[str, Any] | None) -> History:
        """Return what ``plain`` returned."""
        if not stored:
            return NO_HISTORY
        return History(
            tuple(Period(**one) for one in stored["periods"]),
            tuple(MeterEvent(**one) for one in stored["events"]),
            formulas=tuple((one["from_ms"], one["text"]) for one in stored.get("formulas", ())),
        )

    def with_clock(self, decided: str) -> History:
        """Return the history with the clock that was found out in place of ``auto``."""
        clock: Any = decided
        periods = (
            replace(one, clock=clock) if one.clock == "auto" else one for one in self.periods
        )
        return replace(self, periods=tuple(periods))


NO_HISTORY = History()


def _plain(several: tuple[Period, ...] | tuple[MeterEvent, ...]) -> list[dict[str, Any]]:
    return [{f.name: getattr(one, f.name) for f in fields(one)} for one in several]
