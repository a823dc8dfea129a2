"""``kilowatch status``: is everything all right, how far behind, what arrives and what is late."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kilowatch.cli.ask import ask
from kilowatch.cli.folder import DEFAULT, DataFolder
from kilowatch.cli.options import Data
from kilowatch.health import Facts, judge
from kilowatch.model.errors import KilowatchError


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
    collector, platform = _try(folder, collector=True), _try(folder)
    if collector is None and platform is None:
        ask(folder, "/status")  # raises, with the way out
    report = judge(Facts(collector, platform, folder.maintenance.exists(), now_ms))
    late = [
        {**point, "late_s": round((now_ms - point["last_ms"]) / 1000)}
        for point in (platform or {}).pop("silent", [])
    ]
    addresses = folder.read_addresses()
    return {
        "healthy": report.state == "ok",
        "now_ms": now_ms,
        "environment": addresses.get("environment"),
        "faults": report.faults,
        "checks": {
            check.name: {"state": check.state, "detail": check.detail} for check in report.checks
        },
        "collector": collector,
        "platform": platform,
        "late": late,
    }


def _try(folder: DataFolder, *, collector: bool = False) -> dict[str, Any] | None:
    try:
        return ask(folder, "/status", collector=collector)
    except KilowatchError:
        return None


def _show(said: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    state = "is [green]healthy[/green]" if said["healthy"] else "[red]needs attention[/red]"
    console.print(f"Kilowatch ({said['environment']}) {state}.")
    for fault in said["faults"]:
        console.print(f"  [red]•[/red] {fault}")
    platform = said["platform"]
    if platform:
        packets, streams = platform["packets"], platform["streams"]
        console.print(
            f"  packets    {packets['accepted']:,} accepted, {packets.get('backfilled', 0):,}"
            f" backfilled, {packets['duplicate']:,} duplicate,"
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
        for name, run in platform.get("runs", {}).items():
            console.print(f"  {name:<10} {_run(run, said['now_ms'])}")
        if deadman := platform.get("deadman"):
            console.print(f"  deadman    {_deadman(deadman, said['now_ms'])}")
    if said["late"]:
        table = Table("stream", "name", "last packet is dated")
        for point in sorted(said["late"], key=lambda point: -point["late_s"])[:20]:
            table.add_row(point["stream_id"], point["name"], _last(point["late_s"]))
        console.print(table)


def _run(run: dict[str, Any], now_ms: int) -> str:
    """Say since when a process is up, and how long it was away before."""
    up = f"up for {_duration((now_ms - run['started_ms']) / 1000)}"
    if run["away_s"] is None:
        return up
    ended = "stopped in order" if run["before_clean"] else "it did not stop in order"
    return f"{up}; before that away for {_duration(run['away_s'])} ({ended})"


def _deadman(said: dict[str, Any], now_ms: int) -> str:
    last = said["last_ms"]
    when = "never" if last is None else f"{_duration((now_ms - last) / 1000)} ago"
    return (
        f"{said['host']} was told {when}, every {_duration(said['interval_s'])};"
        f" {said['withheld']:,} withheld, {said['failed']:,} failed"
    )


def _last(age_s: float) -> str:
    """Say how old the last packet of a silent stream is; its clock may have been ahead."""
    return f"{_duration(age_s)} ago" if age_s >= 0 else f"{_duration(-age_s)} ahead of this clock"


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def register(app: typer.Typer) -> None:
    """Add ``kilowatch status`` to the command line."""
    app.command()(status)
