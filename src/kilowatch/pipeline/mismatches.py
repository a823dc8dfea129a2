"""Where a stream and its registration do not fit: findings, each with what would mend it.

Careful on purpose: a finding that is wrong costs more trust than one that comes a day later. Each
rule and its figures are in docs/reference/findings.md; how often they speak of real meters without
need is counted in ``tests/pipeline/test_mismatches_real.py``.

``Finding.data`` has ``remedy``, a setting and the value to give it, where one click can mend it;
and ``mark``, by which a person's dismissal is known again: what changes it brings the finding back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from statistics import median
from typing import Any

import numpy as np

from kilowatch.catalog.spans import interval_text
from kilowatch.model.findings import Finding
from kilowatch.model.lengths import DAY_MS, HOUR_MS, MINUTE_MS, WEEK_S
from kilowatch.model.parameters import PARAMETER_BY_CHANNEL, VALUE
from kilowatch.model.points import MONTH_S, DataPoint
from kilowatch.model.units import UNITS
from kilowatch.model.zones import Zone
from kilowatch.pipeline.evidence import STEPS, Evidence, settings_key
from kilowatch.pipeline.state import StreamState
from kilowatch.wire.likely import likely

ALIKE = 0.1  # of the last distance: what is closer is the same rhythm
LONGER, SHORTER = 1.25, 0.75
SHORTER_PARTS = 15  # ten-second packets in a quarter-hour are meant to be aggregated
REGULAR_NEW = 2  # distances: three packets of a new stream
REGULAR = 3  # of one that has sent in another rhythm before
STEADY = 8  # before more packets than registered are called a rhythm
RISES, RISES_MS = 24, 26 * HOUR_MS  # longer than a day: whatever follows the sun falls once
FINE_RISES, FINE_MS = 12, HOUR_MS
FALLS = 5  # of 60 steps: an exchange, a reset and a roll-over are one each
RUN = 12
MOVES = 0.25  # of the steps of a run go up or down by a twentieth
LOG_SLACK = 0.35  # around a thousand: 450 to 2,200
IMPOSSIBLE = 3  # of 24 looks
IDLE, IDLE_MS = 96, 48 * HOUR_MS
LATE_QUARTERS_MIN = 2
MARK_MAX = 100

_NICE_S = (
    1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400,
    21_600, 43_200, 86_400,
)  # fmt: skip


def regular_interval_s(distances_ms: Sequence[int]) -> tuple[int, int]:
    """Return the rhythm of the last packets [s], and for how many distances it has held; 0, 0."""
    if not distances_ms:
        return 0, 0
    last_ms = distances_ms[-1]
    slack_ms = max(ALIKE * last_ms, 1_000)
    run = 0
    for one in reversed(distances_ms):
        if abs(one - last_ms) > slack_ms:
            break
        run += 1
    return _nice_s(median(distances_ms[-run:]) / 1000), run


def _nice_s(seconds: float) -> int:
    """Return an interval that can be registered."""
    for nice_s in (*_NICE_S, WEEK_S, MONTH_S):
        if abs(seconds - nice_s) <= ALIKE * nice_s:
            return nice_s
    if seconds > 86_400:
        return WEEK_S if seconds < WEEK_S else MONTH_S
    return max(1, round(seconds))


def observed_interval_s(point: DataPoint, distances_ms: Sequence[int]) -> int | None:
    """Return the interval that packets come in when it is not the registered one [s], else None.

    Lines in charts join over this, and it is offered as the right setting. It needs three
    packets of a new stream; four of one that had another rhythm; and nine for a rhythm that
    is shorter than registered, which costs only detail.
    """
    if not distances_ms or SHORTER < distances_ms[-1] / 1000 / point.interval_s <= LONGER:
        return None
    interval_s, run = regular_interval_s(distances_ms)
    if interval_s > LONGER * point.interval_s:
        needed = REGULAR_NEW if run == len(distances_ms) else REGULAR
        return interval_s if run >= needed else None
    shorter = point.interval_s / SHORTER_PARTS <= interval_s < SHORTER * point.interval_s
    return interval_s if shorter and run >= STEADY else None


def mismatches(
    point: DataPoint, state: StreamState, rhythm_ms: int = 0, now_ms: int | None = None
) -> tuple[Finding, ...]:
    """Return what does not fit.

    Args:
        point: The data point as it is registered now.
        state: What the pipeline remembers of its stream.
        rhythm_ms: The regular pause between arrivals where that is longer than registered.
        now_ms: For the site's offset; None takes the last packet's time.
    """
    if not state.packets:
        return ()
    evidence = state.evidence
    if evidence.settings != settings_key(point):
        evidence = Evidence()  # registered anew: the next packets will show
    found = [
        *_interval(point, state, rhythm_ms),
        *_behaviour(point, evidence, state),
        *_unit(point, evidence),
        *_clock(point, state, now_ms),
        *_names(state),
        *_phases(evidence),
        *_impossible(point, evidence),
    ]
    return tuple(found)


def _finding(code: str, text: str, mark: Any, **data: Any) -> Finding:
    channel = data.pop("channel", None)
    short = str(mark)
    if len(short) > MARK_MAX:
        short = blake2b(short.encode(), digest_size=16).hexdigest()
    return Finding(code, text, channel=channel, data={"mark": short, **data})


def _set(setting: str, value: Any) -> dict[str, Any]:
    return {"setting": setting, "value": value}


def _interval(point: DataPoint, state: StreamState, rhythm_ms: int) -> Iterator[Finding]:
    observed_s = observed_interval_s(point, state.distances_ms)
    registered = interval_text(point.interval_s)
    if observed_s is not None:
        longer = observed_s > point.interval_s
        consequence = (
            "It is called silent only when it misses that rhythm. Register {}, and charts and "
            "totals have no holes."
            if longer
            else "The packets of an interval are aggregated. Register {} to see each of them."
        )
        text = interval_text(observed_s)
        yield _finding(
            "interval.longer" if longer else "interval.shorter",
            f"Registered for a packet every {registered}, but one comes every {text}. "
            + consequence.format(text),
            observed_s,
            observed_s=observed_s,
            registered_s=point.interval_s,
            remedy=_set("interval_s", observed_s),
        )
    elif rhythm_ms:
        pause_s = _nice_s(rhythm_ms / 1000)
        pause = interval_text(pause_s)
        yield _finding(
            "arrival.in_batches",
            f"Packets are about every {registered}, but arrive together every {pause}. With a "
            f"tolerance of {pause} the stream is late only when an upload is missing.",
            pause_s,
            pause_s=pause_s,
            remedy=_set("tolerance_s", pause_s),
        )


def _behaviour(point: DataPoint, evidence: Evidence, state: StreamState) -> Iterator[Finding]:
    rising, fine = evidence.rising, evidence.fine
    if point.behaviour != "register" and (point.kind == "single" or point.behaviour == "amount"):
        for_days = rising.what >= RISES and rising.span_ms >= RISES_MS
        finely = fine.what == 1 and fine.count >= FINE_RISES and fine.span_ms >= FINE_MS
        if for_days or (finely and point.behaviour == "amount"):
            yield _finding(
                "behaviour.rises_for_ever",
                f"Registered as {point.behaviour}, but the last {rising.count} values never fell "
                f"and rose {rising.what} times: this looks like a register (cumulative).",
                "register",
                remedy=_set("behaviour", "register"),
            )
    falls = min(evidence.falls.bit_count(), _unexplained_falls(point, state))
    if point.behaviour == "register" and falls >= FALLS and evidence.rises.bit_count() >= FALLS:
        wanted = UNITS[point.unit].behaviour if point.kind == "single" else "amount"
        yield _finding(
            "behaviour.falls",
            f"Registered as a register, but {falls} of the last {STEPS} values were smaller than "
            "the one before: this looks like "
            f"{'an amount' if wanted == 'amount' else 'a ' + wanted}.",
            wanted,
            falls=falls,
            remedy=_set("behaviour", wanted),
        )


def _unexplained_falls(point: DataPoint, state: StreamState) -> int:
    """Return how many of the last steps fell without a roll-over, an exchange or a reset."""
    step_ms = max([point.interval_s * 1000, *state.distances_ms])
    since_ms = state.at_ms - STEPS * step_ms
    return len({fall.at_ms for fall in state.progress.falls if fall.at_ms >= since_ms})


def _unit(point: DataPoint, evidence: Evidence) -> Iterator[Finding]:
    if point.kind == "electrical":
        yield from _electrical_units(evidence)
        return
    off = evidence.size_off
    apart = evidence.size_off_log - evidence.size_log
    # A building that is switched off shows a thousandth too, but always the same one.
    moves = evidence.size_off_moves >= MOVES * off.count
    if off.what and off.count >= RUN and moves and abs(abs(apart) - 3) <= LOG_SLACK:
        word, smaller = ("larger", True) if off.what > 0 else ("smaller", False)
        yield _unit_finding(
            point,
            "unit.changed",
            f"Values are about a thousand times {word} than all before: they lay between "
            f"{evidence.low:.3g} and {evidence.high:.3g}. Has the unit of the meter changed?",
            smaller=smaller,
        )
    # What never fell may be a dial that is registered as something else: its unit can be right.
    elif (
        evidence.implausible.what
        and evidence.implausible.count >= RUN
        and (evidence.falls or point.behaviour == "register")
    ):
        yield _unit_finding(
            point,
            "unit.implausible",
            f"The last {evidence.implausible.count} values in {point.unit} are larger than any "
            "building's. The meter probably sends a smaller unit.",
            smaller=True,
        )


def _unit_finding(point: DataPoint, code: str, text: str, *, smaller: bool) -> Finding:
    now = UNITS[point.unit]
    factor = now.factor / 1000 if smaller else now.factor * 1000
    for symbol, unit in UNITS.items():
        same = unit.canonical == now.canonical and unit.behaviour == now.behaviour
        if same and not unit.offset and abs(unit.factor / factor - 1) < 1e-9:
            return _finding(code, f"{text} Offered: {symbol}.", symbol, remedy=_set("unit", symbol))
    return _finding(code, text, smaller)


def _electrical_units(evidence: Evidence) -> Iterator[Finding]:
    if evidence.volts_off.what and evidence.volts_off.count >= RUN:
        yield _finding(
            "unit.voltage",
            "All voltages lie around a fifth of a volt: the meter seems to send kilovolts. The "
            "contract is V; multiply by 1000 at the sender.",
            "kV",
        )
    for run, what, small in (
        (evidence.power_off, "Active power", "kW instead of W"),
        (evidence.energy_off, "Energy", "kWh instead of Wh"),
    ):
        if run.what and run.count >= RUN:
            word = "larger" if run.what > 0 else f"smaller (probably {small})"
            than = "voltage times current" if run is evidence.power_off else "the power over time"
            yield _finding(
                "unit.power" if run is evidence.power_off else "unit.energy",
                f"{what} is about a thousand times {word} than {than} in {run.count} packets in a "
                "row. The contract is W and Wh; correct it at the sender.",
                run.what,
                factor=1000 if run.what < 0 else 0.001,
            )


def _clock(point: DataPoint, state: StreamState, now_ms: int | None) -> Iterator[Finding]:
    decision = state.witness["decision"] if point.clock == "auto" else point.clock
    run = state.evidence.late_offset if decision == "offset" else state.evidence.late_wall
    late_ms = run.what * 900_000
    if run.count < RUN or abs(run.what) < LATE_QUARTERS_MIN or run.span_ms < MINUTE_MS:
        return
    at_ms = run.to_ms if now_ms is None else now_ms
    offset_ms = int(Zone.of(point.zone).offsets_ms(np.array([at_ms]))[0])
    if late_ms > 0 and (abs(offset_ms) != late_ms or late_ms < point.gap_ms + 1_800_000):
        return  # whoever sends an hour late every time does nothing wrong
    hours = f"{abs(late_ms) / 3_600_000:g} h"
    when = f"{hours} after their time" if late_ms > 0 else f"{hours} before their time"
    data: dict[str, Any] = {"late_ms": late_ms, "zone": point.zone}
    other = "wall" if decision == "offset" else "offset"
    apart = state.evidence.late_wall if other == "wall" else state.evidence.late_offset
    advice = (
        f"Check the time zone of the site ({point.zone}), and whether the sender marks local time "
        "as UTC."
    )
    if apart.count >= RUN and apart.what == 0:
        data["remedy"] = _set("clock", other)
        advice = (
            "Read on the site's wall clock they are on time."
            if other == "wall"
            else "Read with the offset that they carry they are on time."
        )
    yield _finding(
        "clock.does_not_fit",
        f"The last {run.count} packets arrived {when}, all alike. {advice}",
        f"{run.what} {decision}",
        **data,
    )


def _names(state: StreamState) -> Iterator[Finding]:
    # A name that none of the last packets carried was corrected.
    since_ms = state.at_ms - sum(state.distances_ms)
    recent = sorted(name for name, at_ms in state.ignored_at.items() if at_ms >= since_ms)
    if not recent:
        return
    meant = {name: likely(name) for name in recent}
    words = [f"{name} (perhaps {meant[name]})" if meant[name] else name for name in recent[:5]]
    more = f" and {len(recent) - 5} more" if len(recent) > 5 else ""
    yield _finding(
        "parameters.unknown",
        f"Packets carry names that are not in the contract and are ignored: {', '.join(words)}"
        f"{more}. Correct them at the sender.",
        ",".join(recent),
        names=meant,
    )


def _phases(evidence: Evidence) -> Iterator[Finding]:
    now, run = evidence.phases.what, evidence.phases.count
    if evidence.more_phases and run >= RUN:
        gone = _numbers(evidence.more_phases & ~now)
        yield _finding(
            "phases.missing",
            f"The meter sent phases {_numbers(evidence.more_phases)} before; the last {run} "
            f"packets have nothing of phase {gone}.",
            f"{evidence.more_phases}>{now}",
            phases=gone,
        )
    elif now.bit_count() == 2 and run >= 2 * RUN:
        yield _finding(
            "phases.missing",
            f"Packets carry phases {_numbers(now)} only: one of three is missing in the last "
            f"{run}.",
            f"{now}",
            phases=_numbers(0b1110 & ~now),
        )
    idle = evidence.idle_phase
    if idle.what and idle.count >= IDLE and idle.span_ms >= IDLE_MS:
        yield _finding(
            "phases.idle",
            f"Phase {idle.what} has shown exactly zero for {idle.span_ms / DAY_MS:.0f} days, while "
            "the others carry load: is its current transformer connected?",
            idle.what,
            phases=str(idle.what),
        )


def _numbers(mask: int) -> str:
    return ", ".join(str(phase) for phase in (1, 2, 3) if mask >> phase & 1)


def _impossible(point: DataPoint, evidence: Evidence) -> Iterator[Finding]:
    for channel, bits in sorted(evidence.impossible.items()):
        times = bits.bit_count()
        if times < IMPOSSIBLE:
            continue
        name = "value" if channel == VALUE else PARAMETER_BY_CHANNEL[channel]
        value = evidence.odd.get(channel, float("nan"))
        unit = f" {point.unit}" if channel == VALUE and point.unit else ""
        percent = name.startswith("pF") and 1.005 < abs(value) <= 100
        hint = " It seems to be sent in percent; the contract is -1 to 1." if percent else ""
        yield _finding(
            "value.impossible",
            f"{name} cannot be {value:g}{unit}: so it was in {times} of the last packets.{hint}",
            channel,
            channel=channel,
            value=value,
            times=times,
        )
