"""What a heat map can draw of a data point: parameters, phases, and lengths of a cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kilowatch.dashboard.offered import Parameter, parameters_of, phase_title
from kilowatch.model.errors import KilowatchError
from kilowatch.model.parameters import channel_name
from kilowatch.model.points import DataPoint
from kilowatch.model.units import rate_unit

BINS_MIN = (15, 30, 60)
"""Lengths of a cell on offer [min]; a year of five minutes is 105,120 cells, and nobody's eyes."""
USUAL_MIN = 30
LONG_DAYS = 92
"""Above, an hour is usual: hours are stored, and a year of finer intervals is added up."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be drawn: a parameter, of one phase or over all of them.

    Attributes:
        name: Word in the address, that of the channel.
        title: What people call it.
        code: Channel.
        parameter: What it belongs to.
    """

    name: str
    title: str
    code: int
    parameter: Parameter

    @property
    def amounts(self) -> bool:
        """Whether it is energy or a volume: it is drawn as its rate."""
        return self.parameter.measure == "amount"

    @property
    def apart(self) -> bool:
        """Whether it is one phase of several."""
        return self.code != self.parameter.total and self.parameter.total is not None

    @property
    def unit(self) -> str:
        """Unit of what is drawn."""
        return rate_unit(self.parameter.unit) if self.amounts else self.parameter.unit


def choices_of(point: DataPoint, channels: Sequence[int]) -> list[Choice]:
    """Return what can be drawn of a data point: sums over phases first, then each phase."""
    found: dict[str, Choice] = {}
    for parameter in parameters_of(point, channels):
        codes = (
            parameter.phases if parameter.total is None else (parameter.total, *parameter.phases)
        )
        for code in codes:
            title = " ".join(part for part in (parameter.title, phase_title(code)) if part)
            name = channel_name(code)
            found.setdefault(name, Choice(name, title, code, parameter))
    return list(found.values())


def choice_of(choices: Sequence[Choice], name: str) -> Choice | None:
    """Return what an address names; without a name power or the value, else the first.

    Raises:
        KilowatchError: 400 ``bad_channel``.
    """
    if not choices:
        return None
    if name:
        for one in choices:
            if one.name == name:
                return one
        raise KilowatchError(
            "bad_channel",
            f"This data point has no channel {name!r}.",
            remedy=f"It has {', '.join(one.name for one in choices)}.",
        )
    return next((one for one in choices if one.name in ("aP", "value")), choices[0])


def bin_min_of(bins: Sequence[int], text: str, days: int, interval_s: int) -> int:
    """Return how long a cell is [min].

    Args:
        bins: Those that the data point's intervals fit into [min].
        text: What the address asks for; empty for the usual length.
        days: How many days are drawn.
        interval_s: Of the data point [s].

    Raises:
        KilowatchError: 400 ``bad_bin``.
    """
    if text and text not in [str(one) for one in BINS_MIN]:
        raise KilowatchError(
            "bad_bin", f"{text!r} is no length of a cell.", remedy="Use 15, 30 or 60 minutes."
        )
    stored = days > LONG_DAYS and interval_s != USUAL_MIN * 60
    wanted = int(text) if text else 60 if stored else USUAL_MIN
    return max(wanted, min(bins, default=wanted))


def grouped(choices: Sequence[Choice]) -> dict[str, list[Choice]]:
    """Return choices by the heading that they stand under."""
    found: dict[str, list[Choice]] = {}
    for one in choices:
        found.setdefault(one.parameter.group, []).append(one)
    return found
