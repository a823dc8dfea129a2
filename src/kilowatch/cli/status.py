"""``kilowatch status``: is everything all right, how far behind, what arrives and what is late."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kilowatch.cli.ask import ask
from kilowatch.cli.folder import DEFAULT, DataFolder
from kilowatch.cli.registration import Data
from kilowatch.model.errors import KilowatchError

LAG_S_MAX = 10.0  # the pipeline flushes every 10 s; more than that behind is worth a word


def status(
    data: Data = DEFAULT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show health, the pipeline's lag, packets by outcome and streams that are late."""
    said = gather(DataFolder(data.absolute()), now_ms=round(time.time() * 1000))
    if as_json:
        typer.echo(json.dumps(said, indent=1))
    else:
        _show(said)
    if not said["healthy"]:
        raise typer.Exit(1)


def gather(folder: DataFolder, now_ms: int) -> dict[str, Any]:
    """Ask both processes and judge what they say.

    Args:
        folder: The server's data folder.
        now_ms: The present [ms since 1970, UTC].

    Returns:
        What ``kilowatch status --json`` prints.

    Raises:
        KilowatchError: ``not_running`` when neither process answers.
    """
    collector, platform = _try(folder.collector_socket), _try(folder.control_socket)
    if collector is None and platform is None:
        ask(folder.control_socket, "/status")  # raises, with the way out
    faults = []
    if collector is None:
        faults.append("The collector does not answer: packets are not accepted.")
    if platform is None:
        faults.append("The platform does not answer: packets are kept, nothing is shown.")
    elif platform["busy"]:
        faults.append(f"The platform is not serving yet: {platform['busy']}.")
    elif platform["lag"]["seconds"] > LAG_S_MAX:
        faults.append(f"The pipeline is {platform['lag']['seconds']:.0f} s behind the log.")
    faults += [
        f"{part}: {fault}"
        for part, fault in (
            ("The log can't be written, pushes answer 503", _fault(collector, "log", "fault")),
            ("The log's upkeep fails", _fault(collector, "log", "upkeep_fault")),
            ("The pipeline does not go on", _fault(platform, "lag", "fault")),
            ("Silent streams are not found", _fault(platform, "silences", "fault")),
        )
        if fault
    ]
    if folder.maintenance.exists():
        faults.append("Maintenance is on: pushes answer 503.")
    late = [
        {**point, "late_s": round((now_ms - point["last_ms"]) / 1000)}
        for point in (platform or {}).pop("silent", [])
    ]
    addresses = folder.read_addresses()
    return {
        "healthy": not faults,
        "environment": addresses.get("environment"),
        "faults": faults,
        "collector": collector,
        "platform": platform,
        "late": late,
    }


def _fault(said: dict[str, Any] | None, part: str, name: str) -> str:
    return str((said or {}).get(part, {}).get(name) or "")


def _try(socket: Path) -> dict[str, Any] | None:
    try:
        return ask(socket, "/status")
    except KilowatchError:
        return None


def _show(said: dict[str, Any]) -> None:
    console = Console(highlight=False)
    state = "is [green]healthy[/green]" if said["healthy"] else "[red]needs attention[/red]"
    console.print(f"Kilowatch ({said['environment']}) {state}.")
    for fault in said["faults"]:
        console.print(f"  [red]•[/red] {fault}")
    platform = said["platform"]
    if platform:
        packets, streams = platform["packets"], platform["streams"]
        console.print(
            f"  packets    {packets['accepted']:,} accepted, {packets['duplicate']:,} duplicate,"
            f" {packets['discarded']:,} discarded, {packets['refused']:,} refused"
        )
        console.print(
            f"  pipeline   {platform['lag']['packets']:,} packets behind"
            f" ({platform['lag']['seconds']:.1f} s)"
        )
        console.print(
            f"  streams    {streams['registered']:,} registered, {streams['with_data']:,} with"
            f" data, {len(said['late']):,} late"
        )
    if said["late"]:
        table = Table("stream", "name", "last packet before")
        for point in sorted(said["late"], key=lambda point: -point["late_s"])[:20]:
            table.add_row(point["stream_id"], point["name"], _duration(point["late_s"]))
        console.print(table)


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def register(app: typer.Typer) -> None:
    """Add ``kilowatch status`` to the command line."""
    app.command()(status)
