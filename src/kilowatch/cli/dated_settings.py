"""``kilowatch data-point set``, ``exchange``, ``history`` and ``undo``: what was true when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from kilowatch.catalog import Change, data_points, meter_events, point_settings, spans
from kilowatch.catalog.factors_check import MJ_PER_KWH
from kilowatch.catalog.settings_check import one_of
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli.dated_lines import feeders_of, lines_of, local_text
from kilowatch.cli.explain import instant_ms
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import AsJson, OrganisationName, Server, organisation_of, paper
from kilowatch.model.errors import KilowatchError
from kilowatch.model.points import BEHAVIOURS, CLOCKS, STAMPS

Stream = Annotated[str, typer.Argument(help="Stream id or name of the data point.")]
At = Annotated[
    str, typer.Option("--at", help="2026-03-01T09:15 in the site's local time, or with an offset.")
]
Comment = Annotated[str, typer.Option(help="Why, for the history.")]
Channel = Annotated[
    str, typer.Option(help="Which register of an electrical meter, such as pC_1; all if left out.")
]
Limit = Annotated[
    float | None,
    typer.Option(help="What electrical events are judged by [%, or a factor]; 0: the usual one."),
]
SETTINGS = (
    "--interval", "--tolerance", "--behaviour", "--stamp", "--clock", "--unit", "--register-max",
    "--feeder", "--multiplier", "--ct-ratio", "--vt-ratio", "--pulse-weight", "--calorific",
    "--volume-correction", "--nominal-voltage", "--low-voltage", "--high-voltage",
    "--lowest-voltage", "--unbalance", "--least-power-factor", "--lost-phase", "--phase-sum",
)  # fmt: skip
"""Options that say what is changed."""
CALORIFIC_UNITS = ("kWh/m3", "MJ/m3")


def set_settings(
    stream: Stream,
    *,
    from_date: Annotated[
        str | None,
        typer.Option("--from", help="From when on: 2026-03-01, in the site's local time."),
    ] = None,
    always: Annotated[
        bool, typer.Option("--always", help="For all time: it was always wrong.")
    ] = False,
    multiplier: Annotated[float | None, typer.Option(help="Of the meter's figures: 40.")] = None,
    ct_ratio: Annotated[
        float | None, typer.Option(help="Primary over secondary current: 40 for 200/5 A.")
    ] = None,
    vt_ratio: Annotated[
        float | None, typer.Option(help="Primary over secondary voltage: 100 for 10,000/100 V.")
    ] = None,
    pulse_weight: Annotated[
        float | None, typer.Option(help="What one pulse stands for, in the data point's unit.")
    ] = None,
    calorific: Annotated[
        float | None, typer.Option(help="Energy of a cubic metre of gas: about 11 kWh/m3.")
    ] = None,
    calorific_unit: Annotated[
        str, typer.Option(metavar="|".join(CALORIFIC_UNITS), help="Unit of --calorific.")
    ] = "kWh/m3",
    volume_correction: Annotated[
        float | None, typer.Option(help="Standard over metered volume of gas: 1.02264.")
    ] = None,
    register_max: Annotated[
        float | None,
        typer.Option(help="First value that the register does not reach: 1000000; 0: unknown."),
    ] = None,
    nominal_voltage: Annotated[
        float | None, typer.Option(help="Between phase and neutral, in V: 230.")
    ] = None,
    low_voltage: Limit = None,
    high_voltage: Limit = None,
    lowest_voltage: Limit = None,
    unbalance: Limit = None,
    least_power_factor: Limit = None,
    lost_phase: Limit = None,
    phase_sum: Limit = None,
    interval: Annotated[str | None, typer.Option(help="How often packets come: 15m.")] = None,
    tolerance: Annotated[
        str | None, typer.Option(help="How late a packet may come: 2m; half: half the interval.")
    ] = None,
    behaviour: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(BEHAVIOURS),
            help="What a value is: a dial, what an interval came to, a power or flow, a level.",
        ),
    ] = None,
    stamp: Annotated[
        str | None,
        typer.Option(metavar="|".join(STAMPS), help="Which end of its interval a packet names."),
    ] = None,
    clock: Annotated[
        str | None,
        typer.Option(metavar="|".join(CLOCKS), help="Which part of a timestamp to believe."),
    ] = None,
    unit: Annotated[str | None, typer.Option(help="Of a single value: kWh, m3, °C.")] = None,
    feeder: Annotated[
        str | None,
        typer.Option(help="Data point of the same site that feeds this one; none: nothing does."),
    ] = None,
    comment: Comment = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would hold when; change nothing.")
    ] = False,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Change settings from a date on, or for all time; figures follow by themselves."""
    one_of("calorific_unit", calorific_unit, CALORIFIC_UNITS)
    if calorific is not None and calorific_unit == "MJ/m3":
        calorific /= MJ_PER_KWH
    given = {
        "multiplier": multiplier,
        "ct_ratio": ct_ratio,
        "vt_ratio": vt_ratio,
        "pulse_weight": pulse_weight,
        "calorific_kwh_per_m3": calorific,
        "volume_correction": volume_correction,
        "register_max": register_max,
        "nominal_voltage_v": nominal_voltage,
        "interval_s": spans.parse_interval(interval) if interval else None,
        "behaviour": one_of("behaviour", behaviour, BEHAVIOURS) if behaviour else None,
        "stamp": one_of("stamp", stamp, STAMPS) if stamp else None,
        "clock": one_of("clock", clock, CLOCKS) if clock else None,
        "unit": unit,
    }
    limits = {
        "low_voltage_percent": low_voltage,
        "high_voltage_percent": high_voltage,
        "lowest_voltage_percent": lowest_voltage,
        "unbalance_percent": unbalance,
        "least_power_factor": least_power_factor,
        "lost_phase_percent": lost_phase,
        "phase_sum_percent": phase_sum,
    }
    settings: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings |= {name: value or None for name, value in limits.items() if value is not None}
    if register_max == 0:
        settings["register_max"] = None
    if tolerance:
        half = tolerance == "half"
        settings["tolerance_s"] = None if half else float(spans.parse_span(tolerance))
    if (from_date is None) == (not always):
        raise KilowatchError(
            "from_when",
            "From when on?" if from_date is None else "From a date on, or for all time?",
            remedy="Give --from DATE for what changed then, or --always for what was never right.",
            data={"field": "from"},
        )
    with _changing(data, organization, stream) as (change, point, zone):
        settings = _named(settings | _fed(change, point, feeder))
        from_ms = None if from_date is None else instant_ms(from_date, zone)
        found = point_settings.preview(
            change.session, point, settings, from_ms, now_ms=change.now_ms
        )
        if not dry_run and from_ms is None:
            point_settings.change_always(change, point, settings, comment=comment)
        elif not dry_run and from_ms is not None:
            point_settings.change_from(change, point, settings, from_ms, comment=comment)
        name, feeders = point.name, feeders_of(change.session, found.after)
    if as_json:
        _print({"periods": _periods(found.after), "recomputes": found.recomputes})
        return
    out = paper()
    out.print(f"{name}{' would be' if dry_run else ''}:", markup=False)
    for line in lines_of(found.after, zone, set(settings), feeders):
        out.print(f"  {line}", markup=False)
    if found.recomputes:
        out.print("Every figure that depends on it is computed again in the background.")


def exchange(
    stream: Stream,
    at: At,
    *,
    last: Annotated[float | None, typer.Option(help="Last figure of the old register.")] = None,
    first: Annotated[float | None, typer.Option(help="First figure of the new one.")] = None,
    register: Annotated[
        list[str] | None,
        typer.Option(help="Of an electrical meter, for each register: pC_1=LAST:FIRST."),
    ] = None,
    multiplier: Annotated[float | None, typer.Option(help="Of the new meter.")] = None,
    ct_ratio: Annotated[float | None, typer.Option(help="Of the new transformers.")] = None,
    vt_ratio: Annotated[float | None, typer.Option(help="Of the new transformers.")] = None,
    pulse_weight: Annotated[float | None, typer.Option(help="Of the new meter.")] = None,
    register_max: Annotated[float | None, typer.Option(help="Width of the new register.")] = None,
    comment: Comment = "",
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Record that the meter was exchanged: what both counted is counted, and nothing between."""
    given = {
        "multiplier": multiplier,
        "ct_ratio": ct_ratio,
        "vt_ratio": vt_ratio,
        "pulse_weight": pulse_weight,
        "register_max": register_max,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    with _changing(data, organization, stream) as (change, point, zone):
        registers = dict(map(_register, register or []))
        if last is not None or first is not None:
            registers["value" if point.kind == "single" else "pC_1"] = (last, first)
        meter_events.exchange(
            change, point, instant_ms(at, zone), registers, settings=settings, comment=comment
        )
    paper().print("The exchange is recorded; figures around it are computed again.")


def reset(
    stream: Stream,
    at: At,
    *,
    to: Annotated[float, typer.Option(help="What the register was set to.")] = 0.0,
    channel: Channel = "",
    comment: Comment = "",
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Record that a register was set back."""
    with _changing(data, organization, stream) as (change, point, zone):
        at_ms = instant_ms(at, zone)
        meter_events.reset(change, point, at_ms, to=to, channel=channel, comment=comment)
    paper().print("The reset is recorded; figures around it are computed again.")


def roll_over(
    stream: Stream,
    at: At,
    width: Annotated[
        float, typer.Option(help="First figure that the register does not reach: 1000000.")
    ],
    *,
    channel: Channel = "",
    comment: Comment = "",
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Decide that a fall was a roll-over; --at is the reading that is lower."""
    with _changing(data, organization, stream) as (change, point, zone):
        at_ms = instant_ms(at, zone)
        meter_events.roll_over(change, point, at_ms, width=width, channel=channel, comment=comment)
    paper().print("The roll-over is recorded; figures around it are computed again.")


def bad(
    stream: Stream,
    at: At,
    *,
    until: Annotated[str | None, typer.Option(help="Last bad reading, if several.")] = None,
    channel: Channel = "",
    comment: Comment = "",
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Leave readings out as if they had never been sent; the source keeps them."""
    with _changing(data, organization, stream) as (change, point, zone):
        until_ms = None if until is None else instant_ms(until, zone)
        meter_events.mark_bad(
            change, point, instant_ms(at, zone), until_ms, channel=channel, comment=comment
        )
    paper().print("They are left out; figures around them are computed again.")


def history(
    stream: Stream,
    organization: OrganisationName = None,
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show what is dated, and what was recorded about the meter, with the words to undo it."""
    with Server.of(data).reading() as session:
        point, zone = _found(session, organization, stream)
        rows = point_settings.history(session, point)
        periods = point_settings.settings_by_period(session, point)
        events = meter_events.events(session, point)
        feeders = feeders_of(session, periods)
    settings = [
        {"undo": f"setting-{row.id}", "from_ms": row.from_ms, **row.fields, "comment": row.comment}
        for row in rows
        if row.from_ms is not None
    ]
    names = ("kind", "at_ms", "until_ms", "channel", "last", "first", "width", "comment")
    recorded = [
        {"undo": f"event-{row.id}"} | {name: getattr(row, name) for name in names} for row in events
    ]
    if as_json:
        _print({"periods": _periods(periods), "settings": settings, "events": recorded})
        return
    out = paper()
    known = {name for row in rows for name in row.fields}
    for line in (
        lines_of(periods, zone, known, feeders)
        if known
        else ["Nothing is dated, no factor is set."]
    ):
        out.print(line, markup=False)
    for one in settings:
        out.print(
            f"undo {one['undo']}: what changed {local_text(one['from_ms'], zone)}", markup=False
        )
    for one in recorded:
        told = [f"{name} {one[name]}" for name in names[3:] if one[name] not in (None, "")]
        what = f"{one['kind'].replace('_', '-')} at {local_text(one['at_ms'], zone)}"
        out.print(f"undo {one['undo']}: {' '.join([what, *told])}", markup=False)


def undo(
    stream: Stream,
    what: Annotated[str, typer.Argument(help="setting-3 or event-7, as 'history' shows it.")],
    organization: OrganisationName = None,
    data: Data = DEFAULT,
) -> None:
    """Take back a dated change, or what was recorded about the meter."""
    shown = "'kilowatch data-point history' shows the words: setting-3, event-7."
    kind, number = dated_change(what, {"setting", "event"}, shown)
    with _changing(data, organization, stream) as (change, point, _):
        if kind == "setting":
            point_settings.undo(change, point, number)
        else:
            meter_events.undo(change, point, number)
    paper().print("It is taken back; figures that depend on it are computed again.")


def dated_change(what: str, kinds: set[str], remedy: str) -> tuple[str, int]:
    """Return kind and number of the word that takes a dated change back: ``setting-3``.

    Raises:
        KilowatchError: ``unknown_change``.
    """
    kind, _, number = what.partition("-")
    if kind in kinds and number.isdecimal():
        return kind, int(number)
    raise KilowatchError(
        "unknown_change", f"{what!r} is nothing that could be taken back.", remedy=remedy
    )


@contextmanager
def _changing(
    data: Any, organization: str | None, stream: str
) -> Iterator[tuple[Change, DataPoint, str]]:
    with Server.of(data).change() as change:
        yield change, *_found(change.session, organization, stream)


def _found(session: Session, organization: str | None, stream: str) -> tuple[DataPoint, str]:
    """Return a data point, and the time zone of its site."""
    owner = organisation_of(session, organization, stream)
    point = data_points.find_data_point(session, owner, stream)
    return point, session.get_one(Site, point.site_id).zone


def _named(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that are to be changed, if there are any."""
    if settings:
        return settings
    raise KilowatchError(
        "unknown_setting",
        "What should be changed?",
        remedy=f"Give one or more of: {', '.join(SETTINGS)}.",
    )


def _fed(change: Change, point: DataPoint, feeder: str | None) -> dict[str, int | None]:
    """Return the setting that says what feeds a data point: ``none`` is nothing."""
    if feeder is None or feeder == "none":
        return {} if feeder is None else {"parent_id": None}
    owner = change.session.get_one(Organisation, point.organisation_id)
    return {"parent_id": data_points.find_data_point(change.session, owner, feeder).id}


def _register(text: str) -> tuple[str, meter_events.Figures]:
    name, _, figures = text.partition("=")
    last, _, first = figures.partition(":")
    try:
        return name, (float(last) if last else None, float(first) if first else None)
    except ValueError:
        raise KilowatchError(
            "invalid_figure",
            f"{text!r} does not name a register with its last and first figure.",
            remedy="Write it like pC_1=48211.5:0.",
            data={"field": "register"},
        ) from None


def _periods(periods: list[Any]) -> list[dict[str, Any]]:
    return [{"from_ms": from_ms, **settings} for from_ms, settings in periods]


def _print(answer: dict[str, Any]) -> None:
    typer.echo(json.dumps(answer, indent=1, ensure_ascii=False))


def add_to(data_point: typer.Typer) -> None:
    """Add the commands to ``kilowatch data-point``."""
    data_point.command("set")(set_settings)
    data_point.command()(exchange)
    data_point.command()(reset)
    data_point.command("roll-over")(roll_over)
    data_point.command()(bad)
    data_point.command()(history)
    data_point.command()(undo)
