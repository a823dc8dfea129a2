"""``kilowatch history``: what was put into a stream's past, what waits for it, and decisions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from kilowatch.catalog import Actor
from kilowatch.catalog.credentials import holder
from kilowatch.catalog.settings_check import one_of
from kilowatch.cli.ask import ask
from kilowatch.cli.explain import instant_ms
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import AsJson, Server, StreamOwner, owner_of_stream, paper
from kilowatch.client.history import HistoryDesk
from kilowatch.model.errors import KilowatchError
from kilowatch.model.packet import Form

history = typer.Typer(help="Backfilled packets, and decisions about them.", no_args_is_help=True)

Stream = Annotated[str, typer.Argument(help="Stream id of the data point.")]
Ids = Annotated[
    list[int] | None, typer.Option("--id", help="Number of a kept packet; several times for more.")
]
Reason = Annotated[str, typer.Option(help="Why, for the history of the data point.")]
FORMS = {form.name.lower(): form for form in Form}


@history.command()
def show(
    stream: Stream, organization: StreamOwner = None, data: Data = DEFAULT, as_json: AsJson = False
) -> None:
    """Show who put what in and why, which packets are kept, and which contradict each other."""
    story = _story(Server.of(data), stream, organization)
    if as_json:
        typer.echo(json.dumps(story, indent=1, ensure_ascii=False))
        return
    out, zone = paper(), ZoneInfo(story["zone"])
    out.print(f"[bold]{escape(stream)}[/bold], put into history:")
    for run in story["runs"]:
        reason = f": {run['reason']}" if run["reason"] else ""
        first, last = (_local(run[end], zone) for end in ("first_at_ms", "last_at_ms"))
        dated = f"of {first}" if first == last else f"of {first} to {last}"
        out.print(
            f"  {_local(run['first_received_ms'], zone)}  {_packets(run['packets'])} {dated},"
            f" {run['source']} by {run['by']}{reason}",
            markup=False,
        )
    out.print(f"Kept, discarded: {len(story['kept'])}")
    for one in story["kept"]:
        out.print(f"  {one['id']:>8}  {_local(one['at_ms'], zone)}  {one['packet']}", markup=False)
    out.print(f"Contradicting what is stored: {len(story['conflicts'])}")
    for one in story["conflicts"]:
        out.print(
            f"  {_local(one['at_ms'], zone)}  stored {_values(one['stored'])};"
            f" offered {_values(one['offered'])}",
            markup=False,
        )


@history.command()
def backfill(
    stream: Stream,
    ids: Ids = None,
    reason: Reason = "",
    organization: StreamOwner = None,
    data: Data = DEFAULT,
) -> None:
    """Put discarded packets into history: those named with --id, or all of the stream."""
    server = Server.of(data)
    story, desk = _story(server, stream, organization), _desk(server)
    done = desk.put_in_kept(story["series"], ids, Actor.shell().name, reason)
    _audit(server, story, "backfilled", done.packets, reason)
    were = "was" if done.packets == 1 else "were"
    paper().print(f"{_packets(done.packets)} {were} put into the history of {escape(stream)}.")


@history.command()
def dismiss(
    stream: Stream, ids: Ids = None, organization: StreamOwner = None, data: Data = DEFAULT
) -> None:
    """Delete discarded packets that nobody wants: those named with --id, or all."""
    server = Server.of(data)
    story = _story(server, stream, organization)
    wanted, gone = None if ids is None else set(ids), 0
    while found := [one["id"] for one in story["kept"] if wanted is None or one["id"] in wanted]:
        _desk(server).dismiss(story["series"], found)
        gone += len(found)
        story = _story(server, stream, organization)  # which tells so many at once, and no more
    if gone:
        _audit(server, story, "dismissed", gone, "", ids)
    were = "was" if gone == 1 else "were"
    paper().print(f"{_packets(gone)} of {escape(stream)} {were} dismissed.")


@history.command()
def decide(
    stream: Stream,
    at: Annotated[str, typer.Option(help="2026-11-23T09:15, in the site's local time.")],
    take: Annotated[str, typer.Option(metavar="stored|offered", help="Which values count.")],
    reason: Reason = "",
    organization: StreamOwner = None,
    data: Data = DEFAULT,
) -> None:
    """Decide between two packets of one time; every replay of the log decides the same."""
    take = one_of("take", take, ("stored", "offered"))
    server = Server.of(data)
    story = _story(server, stream, organization)
    wanted_ms = instant_ms(at, story["zone"])
    found = [one for one in story["conflicts"] if one["at_ms"] == wanted_ms]
    if len(found) != 1:
        times = sorted(
            {_local(one["at_ms"], ZoneInfo(story["zone"])) for one in story["conflicts"]}
        )
        raise KilowatchError(
            "which_conflict",
            f"{stream} has {len(found) or 'no'} contradicting packets at {at}.",
            remedy="Decide several of one time on the page of the data point."
            if found
            else f"There are some at: {', '.join(times[:10]) or 'no time'}.",
        )
    body, form = found[0]["decisions"][take]
    packet = (body.encode(), FORMS[form])
    actor = Actor.shell().name
    done = _desk(server).put_in(story["series"], [packet], actor, reason, "decision")
    _audit(server, story, f"decided for the {take} values", done.packets, reason)
    paper().print(f"From now on the {take} values of {at} count.", markup=False)


def _story(server: Server, stream: str, organization: str | None) -> dict[str, Any]:
    question = {"stream": stream, **owner_of_stream(server, stream, organization)}
    story = ask(server.folder, "/history", parameters=question, what="platform")
    with server.reading() as session:
        for run in story["runs"]:
            if not run["actor"] and run["credential_id"]:
                run["by"] = holder(session, run["credential_id"]) or run["by"]
    return story


def _packets(count: int) -> str:
    return "1 packet" if count == 1 else f"{count} packets"


def _values(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.15g}" for name, value in values.items())


def _desk(server: Server) -> HistoryDesk:
    return HistoryDesk(server.folder.collector_socket)


def _audit(
    server: Server,
    story: dict[str, Any],
    action: str,
    packets: int,
    reason: str,
    ids: Sequence[int] | None = None,
) -> None:
    with server.change() as change:
        change.record(
            action,
            "data_point",
            story["point"],
            story["organisation"],
            packets=packets,
            reason=reason,
            **({"kept": list(ids)} if ids else {}),
        )


def _local(at_ms: int | None, zone: ZoneInfo) -> str:
    if at_ms is None:
        return "no time"
    return datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).isoformat(" ", "seconds")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch history`` to the command line."""
    app.add_typer(history, name="history")
