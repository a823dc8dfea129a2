"""What an electrical packet can say: parameters, their channels and how they add up.

A *channel* is one quantity of one data point. Its code is ``4 * family + phase``
with phase 0 for the total over phases (or for a quantity that has none), so that
a family's channels are neighbours in the store. Codes are stored: they never change.

Source: the Data Push API's table of parameters (docs/integrate/push-api.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """How the values of a channel become an interval's figures."""

    POWER = "power"  # mean over the interval; a total is the sum of its phases
    GAUGE = "gauge"  # mean over the interval; never summed over phases
    RATIO = "ratio"  # power factor: the total's is the sum of P over the sum of S
    REGISTER = "register"  # a cumulative dial: differences count, summed over phases


@dataclass(frozen=True, slots=True)
class Family:
    """A quantity that a meter gives per phase.

    Attributes:
        name: Prefix of its parameters on the wire (``aP`` in ``aP_1``).
        number: Position in the code of its channels; stored, never changed.
        title: What the dashboard calls it.
        unit: Unit of its values on the wire.
        role: How it is aggregated.
        group: Heading in the dashboard's control panel.
        suffixes: What follows the underscore for phases 1, 2 and 3; empty if none.
    """

    name: str
    number: int
    title: str
    unit: str
    role: Role
    group: str
    suffixes: tuple[str, ...] = ("1", "2", "3")

    @property
    def total(self) -> int:
        """Channel code of the total over phases."""
        return 4 * self.number


VALUE = 0  # the channel of a single-value data point
GAS_ENERGY = 1  # energy of a gas point's volume, by calorific value
RATIO = 2
"""The value of a formula that is a quotient: its rows hold what is divided in ``amount`` and what
it is divided by in ``unallocated``, so that means are quotients of sums. Readers see ``VALUE``."""

FAMILIES: tuple[Family, ...] = (
    Family("aP", 1, "Active power", "W", Role.POWER, "Power"),
    Family("rP", 2, "Reactive power", "var", Role.POWER, "Power"),
    Family("apP", 3, "Apparent power", "VA", Role.POWER, "Power"),
    Family("v", 4, "Phase voltage", "V", Role.GAUGE, "Voltage"),
    Family("c", 5, "Current", "A", Role.GAUGE, "Current"),
    Family("pC", 6, "Active energy, imported", "Wh", Role.REGISTER, "Energy"),
    Family("v", 7, "Line-to-line voltage", "V", Role.GAUGE, "Voltage", ("12", "23", "31")),
    Family("pF", 8, "Power factor", "", Role.RATIO, "Power factor"),
    Family("thdV", 9, "Voltage distortion (THD)", "%", Role.GAUGE, "THD"),
    Family("thdC", 10, "Current distortion (THD)", "%", Role.GAUGE, "THD"),
    Family("pE", 11, "Active energy, exported", "Wh", Role.REGISTER, "Energy"),
    Family("qC", 12, "Reactive energy, imported", "varh", Role.REGISTER, "Energy"),
    Family("qE", 13, "Reactive energy, exported", "varh", Role.REGISTER, "Energy"),
    Family("f", 14, "Frequency", "Hz", Role.GAUGE, "Frequency", ()),
)

FAMILY_BY_NUMBER: dict[int, Family] = {family.number: family for family in FAMILIES}

AP, RP, APP, PC, PF, PE, QC, QE = 4, 8, 12, 24, 32, 44, 48, 52  # totals' channel codes

ENERGY_CHANNELS = (PC, PE, QC, QE)


def _channels() -> dict[str, int]:
    codes: dict[str, int] = {}
    for family in FAMILIES:
        if not family.suffixes:
            codes[family.name] = family.total
        for phase, suffix in enumerate(family.suffixes, start=1):
            codes[f"{family.name}_{suffix}"] = family.total + phase
    return codes


CHANNEL_BY_PARAMETER: dict[str, int] = _channels()
"""Wire name to channel code, canonical names only."""

PARAMETER_BY_CHANNEL: dict[int, str] = {c: name for name, c in CHANNEL_BY_PARAMETER.items()}

WIRE_CHANNELS: dict[str, int] = {**CHANNEL_BY_PARAMETER, "v_13": CHANNEL_BY_PARAMETER["v_31"]}
"""Every name a packet may use: ``v_13`` is another name of ``v_31`` and both are in use."""


def family_of(channel: int) -> Family | None:
    """Return the family of an electrical channel, or None for ``VALUE``."""
    return FAMILY_BY_NUMBER.get(channel // 4)


def phase_of(channel: int) -> int:
    """Return 1, 2 or 3, or 0 for a total."""
    return channel % 4


def channel_name(channel: int) -> str:
    """Return the name used in URLs and exports: ``value``, ``aP_1``, or ``aP`` for a total."""
    if channel == VALUE:
        return "value"
    if channel == GAS_ENERGY:
        return "energy"
    if channel in PARAMETER_BY_CHANNEL:
        return PARAMETER_BY_CHANNEL[channel]
    family = FAMILY_BY_NUMBER[channel // 4]
    return "v_LL" if family.number == 7 else family.name


CHANNEL_BY_NAME: dict[str, int] = {
    "value": VALUE,
    "energy": GAS_ENERGY,
    **{channel_name(family.total): family.total for family in FAMILIES},
    **CHANNEL_BY_PARAMETER,
}
"""The inverse of ``channel_name`` over every channel."""
