"""The judgement: from what both processes say of themselves to checks that a person can act on.

A check that *fails* means that Kilowatch does not do its work: packets are refused, or nothing
is shown. A *warning* needs a person soon. Every limit stands here, with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kilowatch.model.lengths import DAY_MS, MINUTE_MS

State = Literal["ok", "warning", "failing"]

LAG_S_WARNING = 10.0  # the pipeline flushes every 10 s; more than that behind is worth a word
LAG_S_FAILING = 60.0  # live pages show a minute-old world: somebody has to look
TURN_S_FAILING = 120.0  # a recomputation's slice takes seconds, a flush on a slow disk some more
COMMIT_S_FAILING = 90.0  # the collector writes a sign of life whenever nothing came for 20 s
FREE_BYTES_FAILING = 512 * 2**20  # the log alone grows by that in an hour at 1,000 packets/s
FREE_BYTES_WARNING = 10 * 2**30
FREE_SHARE_WARNING = 0.1  # of the disk; the smaller one of the two warnings counts
CERTIFICATE_MS_WARNING = 21 * DAY_MS  # three weeks to order and install another
CLOCK_MS_AHEAD = MINUTE_MS  # packets that came in later than now: the clock went back
CLOCK_STEP_MS = 5_000  # gateways' clocks are off by that much too


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: Stable word, such as ``log``.
        state: ``ok``, ``warning`` or ``failing``.
        detail: What was found, in one sentence.
    """

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What the judgement rests on.

    Attributes:
        collector: What the collector says of itself; None when it does not answer.
        platform: What the platform says of itself; None when it does not answer.
        maintenance: Whether an operator has stopped pushes.
        now_ms: When it was asked [ms since 1970, UTC].
    """

    collector: dict[str, Any] | None
    platform: dict[str, Any] | None
    maintenance: bool
    now_ms: int


@dataclass(frozen=True, slots=True)
class Report:
    """All checks.

    Attributes:
        checks: In the order of a packet's way.
        facts: What they rest on.
    """

    checks: tuple[Check, ...]
    facts: Facts

    @property
    def state(self) -> State:
        """The worst of all."""
        states = {check.state for check in self.checks}
        if "failing" in states:
            return "failing"
        return "warning" if "warning" in states else "ok"

    @property
    def faults(self) -> list[str]:
        """What needs a person, failures first, one sentence each."""
        wanting = [check for check in self.checks if check.state != "ok"]
        return [check.detail for check in sorted(wanting, key=lambda one: one.state == "warning")]

    @property
    def works(self) -> bool:
        """Whether packets are accepted and shown, end to end."""
        way = {"collector", "log", "platform", "store", "pipeline"}
        return not any(one.state == "failing" and one.name in way for one in self.checks)


def judge(facts: Facts) -> Report:
    """Look at everything that is known."""
    return Report((*_collector(facts), *_platform(facts), *_machine(facts)), facts)


def _collector(facts: Facts) -> Iterator[Check]:
    said = facts.collector
    if said is None:
        yield _failing("collector", "The collector does not answer: packets are not accepted.")
    elif facts.maintenance:
        yield Check("collector", "warning", "Maintenance is on: pushes answer 503.")
    else:
        yield Check("collector", "ok", "Packets are accepted.")
    if said is not None:
        yield _log(said["log"], facts.now_ms)


def _log(said: dict[str, Any], now_ms: int) -> Check:
    idle_s = (now_ms - said.get("committed_ms", now_ms)) / 1000
    if said["fault"]:
        return _failing("log", f"The log can't be written, pushes answer 503: {said['fault']}.")
    if idle_s > COMMIT_S_FAILING:
        return _failing("log", f"The log has committed nothing for {idle_s:.0f} s: the disk hangs.")
    if said["upkeep_fault"]:
        return Check("log", "warning", f"The log's upkeep fails: {said['upkeep_fault']}.")
    return Check("log", "ok", "Packets are durable.")


def _platform(facts: Facts) -> Iterator[Check]:
    said = facts.platform
    if said is None:
        text = "The platform does not answer: packets are kept, nothing is shown."
        yield _failing("platform", text)
        return
    if said["busy"]:
        yield _failing("store", f"The platform is not serving yet: {said['busy']}.")
    else:
        yield Check("store", "ok", "Measurements can be read.")
    yield _pipeline(said)
    yield from _silences(said.get("silences"))
    yield from _insights(said.get("insights"))
    if "catalogue" in said:
        fault = said["catalogue"]
        found = f"The catalogue can't be read: {fault}."
        yield _failing("catalogue", found) if fault else _ok("catalogue", "It can be read.")
    yield from _certificate(said.get("certificate"), facts.now_ms)
    yield from _notifications(said.get("notifications"))
    yield from _deadman(said.get("deadman"))


def _pipeline(said: dict[str, Any]) -> Check:
    lag, turn_s = said["lag"], said.get("turn_age_s", 0.0)
    behind = f"The pipeline is {lag['seconds']:.0f} s behind the log."
    if lag["fault"]:
        return _failing("pipeline", f"The pipeline does not go on: {lag['fault']}.")
    if not said["busy"] and turn_s > TURN_S_FAILING:
        return _failing("pipeline", f"The pipeline has done nothing for {turn_s:.0f} s.")
    if lag["seconds"] > LAG_S_FAILING:
        return _failing("pipeline", behind)
    if lag["seconds"] > LAG_S_WARNING:
        return Check("pipeline", "warning", behind)
    return Check("pipeline", "ok", f"{lag['packets']} packets behind ({lag['seconds']:.1f} s).")


def _silences(said: dict[str, Any] | None) -> Iterator[Check]:
    if said is None:
        return
    if said["fault"]:
        yield _failing("silences", f"Silent streams are not found: {said['fault']}.")
    else:
        yield _ok("silences", "Whoever falls silent is noticed.")


def _insights(said: dict[str, Any] | None) -> Iterator[Check]:
    if said is None:
        return
    if said["fault"]:
        yield Check("insights", "warning", f"Insights do not go on: {said['fault']}.")
    elif said["training_fault"]:
        text = f"The forecasting model was not trained: {said['training_fault']}."
        yield Check("insights", "warning", text)
    else:
        yield _ok("insights", f"{said['hours']} hours of {said['streams']} streams are due.")


def _certificate(said: dict[str, Any] | None, now_ms: int) -> Iterator[Check]:
    if said is None:
        return
    if said["fault"]:
        yield _failing("certificate", f"The certificate can't be read: {said['fault']}.")
        return
    days = (said["expires_ms"] - now_ms) / DAY_MS
    if days < 0:
        text = f"The certificate {said['file']} expired {-days:.0f} days ago."
        yield _failing("certificate", text)
    elif said["expires_ms"] - now_ms < CERTIFICATE_MS_WARNING:
        text = f"The certificate {said['file']} expires in {days:.0f} days."
        yield Check("certificate", "warning", text)
    else:
        yield _ok("certificate", f"It is valid for {days:.0f} days.")


def _notifications(said: dict[str, Any] | None) -> Iterator[Check]:
    if said is None:
        return
    if said["last_ms"] is None:
        yield _ok("notifications", "None was attempted since the start.")
    elif said["last_outcome"] == "failed":
        text = f"The last notification was not delivered ({said['last_channel']})"
        reason = f": {said['last_detail']}." if said["last_detail"] else "."
        yield Check("notifications", "warning", text + reason)
    else:
        yield _ok("notifications", f"The last one was {said['last_outcome']}.")


def _deadman(said: dict[str, Any] | None) -> Iterator[Check]:
    if said is None:
        return
    if said["fault"]:
        text = f"The outside monitor can't be told that we live: {said['fault']}."
        yield Check("deadman", "warning", text)
    else:
        yield _ok("deadman", "The outside monitor is told.")


def _machine(facts: Facts) -> Iterator[Check]:
    disks = [said["disk"] for said in (facts.collector, facts.platform) if said and "disk" in said]
    if disks:
        yield _disk(min(disks, key=lambda disk: int(disk["free_bytes"])))
    clock = (facts.platform or {}).get("clock")
    if clock is not None:
        yield _clock(clock)


def _disk(said: dict[str, Any]) -> Check:
    free, total = said["free_bytes"], said["total_bytes"]
    text = f"{free / 2**30:.1f} of {total / 2**30:.0f} GiB are free."
    if free < FREE_BYTES_FAILING:
        return _failing("disk", f"The disk is nearly full: {text}")
    if free < min(FREE_BYTES_WARNING, FREE_SHARE_WARNING * total):
        return Check("disk", "warning", f"The disk fills up: {text}")
    return _ok("disk", text)


def _clock(said: dict[str, Any]) -> Check:
    if said["ahead_ms"] > CLOCK_MS_AHEAD:
        behind_s = said["ahead_ms"] / 1000
        return _failing(
            "clock",
            f"The clock is {behind_s:.0f} s behind the last packet's arrival: it was set back.",
        )
    if abs(said["step_ms"]) > CLOCK_STEP_MS:
        step_s = said["step_ms"] / 1000
        return Check("clock", "warning", f"The clock was set by {step_s:+.0f} s within the hour.")
    return _ok("clock", "It runs steadily.")


def _ok(name: str, detail: str) -> Check:
    return Check(name, "ok", detail)


def _failing(name: str, detail: str) -> Check:
    return Check(name, "failing", detail)
