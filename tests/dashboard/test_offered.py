"""What a data point can show follows from what it has had."""

from __future__ import annotations

from kilowatch.dashboard.offered import channels_of, parameters_of
from kilowatch.model.parameters import GAS_ENERGY, VALUE
from kilowatch.model.points import DataPoint


def test_gas_with_a_calorific_value_offers_its_energy_beside_its_volume() -> None:
    """The volume stays the first figure; without energy rows there is nothing to choose."""
    gas = DataPoint(
        1, 1, "gas", "Gas", 1, 1, "Europe/Dublin", "single", "gas", "m3", 3600, 1800.0, "register"
    )
    offered = parameters_of(gas, [VALUE, GAS_ENERGY])
    assert [(one.name, one.unit) for one in offered] == [("value", "m3"), ("energy", "Wh")]
    assert channels_of(offered[1], apart=False) == (GAS_ENERGY,)
    assert [one.name for one in parameters_of(gas, [VALUE])] == ["value"]
