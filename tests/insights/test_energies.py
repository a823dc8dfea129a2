"""Two ways of knowing one energy: what registers counted, and what powers come to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilowatch.insights.energies import Energies, sum_faults
from kilowatch.insights.limits import Limits
from kilowatch.model.blocks import Floats
from kilowatch.model.insight import EventKind

N = 144  # ten minutes of a day
LIMITS = Limits()


def day(seed: int = 1, *, export: bool = False) -> Energies:
    """Return a day on which registers count what the powers come to."""
    chance = np.random.default_rng(seed)
    hour = np.arange(N) / 6
    load = 2_000 + 6_000 * ((hour > 8) & (hour < 18))
    power = load * np.array([[1.0], [0.7], [1.2]]) * chance.uniform(0.7, 1.3, (3, N))
    imported = np.maximum(power, 0) / 6
    exported = np.maximum(-power, 0) / 6 if export else np.full((3, N), np.nan)
    starts = np.arange(N, dtype=np.int64) * 600_000
    return Energies(starts, 600, power, imported, exported)


def test_registers_and_powers_that_agree_are_not_told() -> None:
    """Samples miss a little, dials count in steps of a kilowatt-hour: that is no fault."""
    assert sum_faults(day(), LIMITS) == []
    some = day()
    dial = np.floor(some.imported_wh.cumsum(axis=1) / 1000) * 1000
    some.imported_wh[:] = np.diff(dial, prepend=0.0, axis=1)
    assert sum_faults(some, LIMITS) == []
    some = day()
    some.imported_wh[:] *= 1.03
    assert sum_faults(some, LIMITS) == [], "within 5 %"


@given(st.integers(0, 10_000))
def test_a_power_that_is_sampled_once_in_ten_minutes_is_no_fault(seed: int) -> None:
    """A compressor that comes and goes is caught by chance: the day differs by chance too."""
    chance = np.random.default_rng(seed)
    some = day(seed)
    on = chance.random((3, N)) < 0.3
    some.imported_wh[:] = 8_000 * 0.3 / 6
    some.power_w[:] = np.where(on, 8_000.0, 0.0)
    assert sum_faults(some, LIMITS) == []


def test_a_phase_whose_ratio_is_wrong_is_told_with_both_figures() -> None:
    """200 A transformers entered as 100 A on the powers of one phase: half of it is missing."""
    some = day()
    some.power_w[1] /= 2
    (fault,) = sum_faults(some, LIMITS)
    assert fault.kind is EventKind.PHASE_SUM
    told = fault.evidence
    assert (told["phase"], told["registers"], told["phases"]) == (2, [2], [2])
    assert told["powered_wh"] == pytest.approx(told["counted_wh"] / 2)
    assert told["difference"] == pytest.approx(0.5)
    assert fault.length_h == 24


def test_a_register_of_all_phases_is_held_against_their_sum() -> None:
    """A meter's one register and clamps on three phases, one of them on half its cable."""
    some = day()
    total = some.imported_wh.sum(axis=0)
    some.imported_wh[:] = np.array([[1.0], [np.nan], [np.nan]]) * total
    assert sum_faults(some, LIMITS) == []
    some.power_w[2] /= 3
    (fault,) = sum_faults(some, LIMITS)
    assert "phase" not in fault.evidence
    assert (fault.evidence["registers"], fault.evidence["phases"]) == ([1], [1, 2, 3])


def test_a_phase_that_runs_backwards_day_and_night_is_turned() -> None:
    """Solar on one phase stops at night; a transformer that was put on the wrong way does not."""
    some = day()
    some.power_w[1] *= -1
    some.imported_wh[1] = 0.0
    (fault,) = sum_faults(some, LIMITS)
    assert (fault.evidence["turned"], fault.evidence["phase"]) == (True, 2)
    assert fault.evidence["phases_wh"][1] < 0
    solar = day(export=True)
    noon = slice(60, 90)
    solar.power_w[1, noon] -= 30_000
    solar.exported_wh[1, noon] = -solar.power_w[1, noon] / 6
    solar.imported_wh[1, noon] = 0.0
    assert sum_faults(solar, LIMITS) == []


@pytest.mark.parametrize("after", [True, False])
def test_meters_may_add_up_before_or_after_they_leave_out_what_flows_back(*, after: bool) -> None:
    """One register for three phases, of which one feeds in at noon: both ways are right."""
    some = day()
    some.power_w[1, 60:90] -= 30_000
    flow: Floats = np.maximum(some.power_w, 0).sum(axis=0) if after else np.maximum(
        some.power_w.sum(axis=0), 0
    )  # fmt: skip
    some.imported_wh[:] = np.array([[1.0], [np.nan], [np.nan]]) * flow / 6
    assert sum_faults(some, LIMITS) == []


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("whole", ["imported_wh", "exported_wh"])
def test_import_and_export_may_come_in_different_forms(whole: str, *, after: bool) -> None:
    """One by phase, one as a total: of a sound meter in the sun nothing is told, of a wrong one."""
    some = day(export=True)
    some.power_w[1, 60:90] -= 30_000
    sign = 1 if whole == "imported_wh" else -1
    flow = sign * some.power_w
    total = np.maximum(flow, 0).sum(axis=0) if after else np.maximum(flow.sum(axis=0), 0)
    some.imported_wh[:] = np.maximum(some.power_w, 0) / 6
    some.exported_wh[:] = np.maximum(-some.power_w, 0) / 6
    getattr(some, whole)[:] = np.array([[1.0], [np.nan], [np.nan]]) * total / 6
    assert sum_faults(some, LIMITS) == []
    blind = Energies(
        some.start_ms, 600, np.array([[1.0], [np.nan], [np.nan]]) * some.power_w.sum(axis=0),
        some.imported_wh, some.exported_wh,
    )  # fmt: skip
    assert sum_faults(blind, LIMITS) == [], "what was left out by phase, nobody can tell"
    some.power_w[2] *= 4
    (fault,) = sum_faults(some, LIMITS)
    assert fault.evidence["phases"] == [1, 2, 3]


def test_gaps_and_small_amounts_are_left_out() -> None:
    """Of half a day, of a lamp, and of what nobody knows on both sides nothing is said."""
    some = day()
    some.power_w[1] /= 2
    some.imported_wh[1, :80] = np.nan
    assert sum_faults(some, LIMITS) == [], "less than twelve hours are known"
    small = day()
    small.power_w[:] /= 1_000
    small.imported_wh[:] = small.power_w * 2 / 6
    assert sum_faults(small, LIMITS) == []
    none = day()
    none.imported_wh[:] = np.nan
    assert sum_faults(none, LIMITS) == [], "nothing to compare"
    gone = day()
    gone.power_w[:, 30:50] = np.nan
    assert sum_faults(gone, LIMITS) == []
