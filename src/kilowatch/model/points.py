"""A registered data stream: the settings that turn its packets into intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kilowatch.model.dated import ALWAYS_MS, NO_HISTORY, History
from kilowatch.model.editing import NOTHING, Editing
from kilowatch.model.units import UNITS, Unit

Kind = Literal["electrical", "single"]
Behaviour = Literal["register", "amount", "rate", "gauge"]
Stamp = Literal["start", "end"]
Clock = Literal["auto", "offset", "wall"]
Utility = Literal[
    "electricity", "gas", "water", "heat", "cooling", "temperature", "humidity", "production",
    "environmental", "other",
]  # fmt: skip

KINDS: tuple[Kind, ...] = ("electrical", "single")
BEHAVIOURS: tuple[Behaviour, ...] = ("register", "amount", "rate", "gauge")
STAMPS: tuple[Stamp, ...] = ("start", "end")
CLOCKS: tuple[Clock, ...] = ("auto", "offset", "wall")
UTILITIES: tuple[Utility, ...] = (
    "electricity", "gas", "water", "heat", "cooling", "temperature", "humidity", "production",
    "environmental", "other",
)  # fmt: skip

LATENESS_SHARE = 0.5  # a packet may be half an interval late before communication is broken
INTERVAL_S_MIN = 1
INTERVAL_S_MAX = 31 * 86_400
MONTH_S = INTERVAL_S_MAX
"""An interval of this length means a calendar month of the site."""


@dataclass(frozen=True, slots=True)
class DataPoint:
    """What the platform calls a registered data stream.

    Attributes:
        id: The catalogue's number of the data point.
        series: Key of its readings in log and store. Going live without test data
            gives the same data point a new series.
        stream_id: What packets carry in ``id``; unique within an organisation.
        name: What people call it.
        organisation_id: Who owns it.
        site_id: Where it is.
        zone: IANA time zone of the site.
        kind: ``electrical`` (parameters per phase) or ``single`` (one ``value``).
        utility: What is measured.
        unit: Symbol of the unit of ``value``; an electrical point's is fixed by parameter.
        interval_s: Expected interval [s]; ``MONTH_S`` is a calendar month.
        tolerance_s: How much later than the interval a packet may come [s].
        behaviour: Of ``value``, or of the energy registers of an electrical point.
        stamp: Whether an amount's time is the start or the end of its interval.
        clock: Which part of a timestamp to believe.
        register_max: First value that the register does not reach (10**6 for six
            digits), or None when unknown: only a known width can roll over.
        editing: Its validation rules and what people have corrected.
        history: Settings of earlier periods, factors, and what happened to the meter;
            the fields above are those of now.
        formula: What it is computed from now, with other data points as ``#12``; empty for one
            whose packets are pushed.
    """

    id: int
    series: int
    stream_id: str
    name: str
    organisation_id: int
    site_id: int
    zone: str
    kind: Kind
    utility: Utility
    unit: str
    interval_s: int
    tolerance_s: float
    behaviour: Behaviour
    stamp: Stamp = "start"
    clock: Clock = "auto"
    register_max: float | None = None
    editing: Editing = NOTHING
    history: History = NO_HISTORY
    formula: str = ""

    @property
    def formulas(self) -> tuple[tuple[int, str], ...]:
        """From when on which formula [ms]; of one that never changed, it alone."""
        return self.history.formulas or ((ALWAYS_MS, self.formula),)

    @property
    def unit_of_value(self) -> Unit:
        """The unit's conversion to the interval layer."""
        return UNITS[self.unit]

    @property
    def gap_ms(self) -> int:
        """Longest time between two readings that is not a gap [ms]."""
        return round((self.interval_s + self.tolerance_s) * 1000)


def behaviour_from_reading(reading: str, kind: Kind, unit: str) -> Behaviour:
    """Translate ``cum`` or ``avg`` of the older interface.

    ``cum`` is a register. ``avg`` is one of the other three, by unit: an energy or a
    volume is the amount of its interval, a power or a flow a rate, the rest a gauge.
    An electrical point's ``avg`` means that its energies are amounts of their interval.

    Raises:
        ValueError: ``reading`` is neither ``cum`` nor ``avg``.
    """
    if reading == "cum":
        return "register"
    if reading != "avg":
        msg = f"reading is {reading!r}; it must be 'cum' or 'avg'"
        raise ValueError(msg)
    if kind == "electrical":
        return "amount"
    behaviour = UNITS[unit].behaviour
    assert behaviour in BEHAVIOURS, unit
    return behaviour
