"""``kilowatch explain``: from a shown number back to the packets that it rests on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape

from kilowatch.catalog.setting_names import name_of, value_text
from kilowatch.cli.ask import ask
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import Server, StreamOwner, owner_of_stream
from kilowatch.log.records import BACKFILLED
from kilowatch.model.errors import KilowatchError

FROM_METER = ("last", "first", "width")
FIGURES = {
    "amount": ("amount", "amount_unit"),
    "unallocated": ("across the gap before it", "amount_unit"),
    "mean": ("mean", "mean_unit"),
    "low": ("lowest", "mean_unit"),
    "high": ("highest", "mean_unit"),
}
"""What each figure is called, and where its unit stands."""


def explain(
    stream: Annotated[str, typer.Argument(help="Stream id of the data point.")],
    time: Annotated[str, typer.Argument(help="2026-11-23T09:15, in the site's local time.")],
    organization: StreamOwner = None,
    data: Data = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show the interval at a time, its readings, settings, packet bytes and log sequence."""
    server = Server.of(data)
    owner = owner_of_stream(server, stream, organization)
    question = {"stream": stream, "time": time, **owner}
    story = ask(server.folder, "/explain", parameters=question, what="platform")
    if as_json:
        typer.echo(json.dumps(story, indent=1))
        return
    _show(story)


def instant_ms(text: str, zone: str) -> int:
    """Read a person's time: with an offset as it says, without one in the site's zone.

    Returns:
        The instant [ms since 1970, UTC].

    Raises:
        KilowatchError: ``wrong_time`` with an example of a right one.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise KilowatchError(
            "wrong_time",
            f"{text!r} is not a time.",
            remedy="Write it like 2026-11-23T09:15 (the site's local time) or with an offset.",
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone))
        if len(text) > len("2026-11-23"):  # a day begins when it begins, whatever the clocks do
            _check_wall_clock(text, moment)
    return round(moment.astimezone(UTC).timestamp() * 1000)


def _check_wall_clock(text: str, moment: datetime) -> None:
    """Refuse a local time that was skipped, or came twice: which instant is meant is a guess."""
    again = moment.replace(fold=1)
    if moment.utcoffset() == again.utcoffset():
        return
    if moment.astimezone(UTC).astimezone(moment.tzinfo).replace(tzinfo=None, fold=0) == (
        moment.replace(tzinfo=None)
    ):
        raise KilowatchError(
            "wrong_time",
            f"{text} came twice there: the clocks went back.",
            remedy=f"Write {_minutes(moment)} for the first, {_minutes(again)} for the second.",
        )
    raise KilowatchError(
        "wrong_time",
        f"{text} never came there: the clocks went forward.",
        remedy="Write a time before or after the hour that was skipped.",
    )


def _minutes(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _show(story: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    settings = story["settings"]
    if settings is None:
        console.print(story["text"])
        return
    zone = ZoneInfo(settings["zone"])
    console.print(
        f"[bold]{escape(story['stream_id'])}[/bold], {_local(story['start_ms'], zone)} to"
        f" {_local(story['end_ms'], zone)} ({settings['zone']})"
    )
    console.print("\n[bold]Figures[/bold]" + ("" if story["intervals"] else ": none at this time"))
    for row in story["intervals"]:
        console.print(f"  {row['channel']:6} {_figures(row)}", markup=False)
    if not story["readings"]:
        console.print("No packet of the stream lies near this time.")
        return
    console.print("\n[bold]Packets that they rest on[/bold], by log sequence number")
    for reading in story["readings"]:
        place = "in the interval" if reading["inside"] else "beside it"
        if reading["flags"] & BACKFILLED:
            place += ", put into history"
        stamp = _local(reading["effective_ms"], zone)
        console.print(f"  #{reading['seq']} {stamp}, {place}", markup=False)
        packet = reading["packet"] or "(its bytes have left the log; its values are kept)"
        console.print(f"    {packet}", markup=False)
    for event in story["events"]:
        read = [(name, event[name]) for name in FROM_METER if event[name] is not None]
        told = ", ".join(f"{name} {figure:.10g}" for name, figure in read)
        kind = event["kind"].replace("_", "-")
        at = _local(event["at_ms"], zone)
        console.print(f"  recorded by a person: {kind} at {at} {told}".rstrip(), markup=False)
    _show_settings(story, zone)


def _show_settings(story: dict[str, Any], zone: ZoneInfo) -> None:
    console = Console(highlight=False, soft_wrap=True)
    since, until = story["settings_from_ms"], story["settings_until_ms"]
    span = (f" from {_local(since, zone)}" if since else "") + (
        f" until {_local(until, zone)}" if until else ""
    )
    console.print(f"\n[bold]Settings that applied[/bold]{span}")
    for what, factor in story["factors"].items():
        console.print(f"  factor of {what}: {factor:.10g}", markup=False)
    for name, value in story["settings"].items():
        console.print(f"  {name_of(name):17} {value_text(name, value)}", markup=False)
    if story["generation"] > 1:
        console.print(f"  computed again    {story['generation'] - 1} times", markup=False)
    if story["clock_reason"]:
        console.print(f"  {story['clock_reason']}", markup=False)


def _figures(row: dict[str, Any]) -> str:
    told = [
        f"{word} {row[name]:.10g} {row.get(unit, '')}".rstrip()
        for name, (word, unit) in FIGURES.items()
        if row.get(name) is not None and (row[name] or name != "unallocated")
    ]
    covered = f"{row['covered_ms'] / 1000:.0f} of {row['duration_ms'] / 1000:.0f} s known"
    packets = "1 packet" if row["count"] == 1 else f"{row['count']} packets"
    return f"{', '.join(told) or 'not known'}; {row['quality']}, {packets}, {covered}"


def _local(at_ms: int, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at_ms / 1000, zone).isoformat(sep=" ", timespec="milliseconds")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch explain`` to the command line."""
    app.command()(explain)
