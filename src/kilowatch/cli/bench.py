"""``kilowatch bench``: load a server on this machine, and count what it really kept."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from kilowatch import catalog
from kilowatch.bench import Figures, Load, Prepared, Reconciled, load, prepare, reconcile
from kilowatch.bench.reconcile import drained, stored_counts
from kilowatch.bench.streams import next_times
from kilowatch.catalog import secrets
from kilowatch.cli import settings as settings_module
from kilowatch.cli.folder import DEFAULT, DataFolder
from kilowatch.cli.push import read_password
from kilowatch.client import Pusher, Target, Trust
from kilowatch.model.errors import KilowatchError

DRAIN_S_MAX = 300.0
"""Longest wait for the pipeline to store what the run has pushed [s]."""

app = typer.Typer(help="Load benches; each one is bounded and stays on this machine.")


@app.callback()
def _room() -> None:
    """Keep ``push`` a command of its own, however few there are."""


@app.command()
def push(
    *,
    url: Annotated[
        str | None, typer.Option(help="The push server; default: the running one.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="A partner credential; default: one is made.")
    ] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with its password.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Open at once.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long.")] = 10.0,
    new_connections: Annotated[
        bool, typer.Option("--new-connections", help="One for each packet, with a 401 first.")
    ] = False,
    tls: Annotated[bool, typer.Option("--tls", help="Push over HTTPS.")] = False,
    streams: Annotated[
        int | None, typer.Option(min=1, help="Streams; default: one a connection.")
    ] = None,
    stream_ids: Annotated[
        Path | None, typer.Option(help="File of stream ids to fill instead, one a line.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Generator processes.")] = 1,
    server_pid: Annotated[
        int | None, typer.Option(help="Process whose CPU time counts; default: the collector.")
    ] = None,
    cacert: Annotated[Path | None, typer.Option(help="The server's certificate.")] = None,
    insecure: Annotated[bool, typer.Option(help="Trust any certificate.")] = False,
    data: Annotated[
        Path, typer.Option(help="The server's data folder.", envvar="KILOWATCH_DATA")
    ] = DEFAULT,
) -> None:
    """Push as fast as the server takes it, then compare what it acknowledged with its store."""
    folder = DataFolder(data)
    addresses = folder.read_addresses()
    address = _address(url, addresses, tls=tls)
    if cacert is None and folder.tls.joinpath("cert.pem").is_file():
        cacert = folder.tls / "cert.pem"
    ready = _prepare(folder, addresses, user, streams or connections, stream_ids)
    password = ready.password or read_password(password_file, ready.username)
    target = Target.parse(address, ready.username, password, Trust(cacert, insecure))
    pid = server_pid or addresses.get("pids", {}).get("collector")
    pids = [pid] if pid and Path(f"/proc/{pid}").is_dir() else []
    wanted = Load(
        mode="new" if new_connections else "keep-alive",
        connections=connections,
        seconds=seconds,
        processes=processes,
    )
    figures, compared = asyncio.run(_bench(target, ready, wanted, pids, folder))
    _show(figures, compared)
    if compared is None or compared.lost:
        raise typer.Exit(1)


def _address(url: str | None, addresses: dict[str, Any], *, tls: bool) -> str:
    found = url or addresses.get("push_https" if tls else "push_http")
    if not found:
        raise KilowatchError(
            "not_running",
            "No server is running on this data folder.",
            remedy="Start `kilowatch serve`, or name its data folder with --data.",
        )
    if tls and not found.startswith("https"):
        raise KilowatchError(
            "not_https", f"--tls needs an https address, not {found}.", remedy="Leave --url out."
        )
    return str(found)


def _prepare(
    folder: DataFolder,
    addresses: dict[str, Any],
    user: str | None,
    count: int,
    stream_ids: Path | None,
) -> Prepared:
    if stream_ids is not None:
        if user is None:
            raise KilowatchError("no_user", "--stream-ids needs the --user that may push them.")
        names = tuple(stream_ids.read_text(encoding="utf-8").split())
        return Prepared(user, None, names)
    if addresses.get("environment") == "production":
        raise KilowatchError(
            "production",
            "This is a production server; the bench registers no streams there.",
            remedy="Bench a server of its own: `kilowatch serve --data bench-data`.",
        )
    if not folder.catalog.is_file():
        raise KilowatchError(
            "no_data_folder",
            f"{folder.root} is not the data folder of a server, so its streams are unknown.",
            remedy="Name it with --data, or name registered streams with --stream-ids.",
        )
    settings = settings_module.load(folder.root, {}, os.environ)
    key = secrets.server_key(folder.root, settings.secret_key)
    registered = catalog.open(folder.catalog)
    try:
        return prepare(registered, key, count, user)
    finally:
        registered.close()


async def _bench(
    target: Target, ready: Prepared, wanted: Load, pids: list[int], folder: DataFolder
) -> tuple[Figures, Reconciled | None]:
    # Patient: a credential and streams made just now are known within a second.
    async with Pusher(target, patient=True) as pusher:
        times = await next_times(pusher, ready.streams)
    before = await _counts(folder, ready.streams)
    figures = await load(target, times, wanted, pids)
    if before is None:
        return figures, None
    await drained(folder.control_socket, DRAIN_S_MAX)
    after = await stored_counts(folder.control_socket, ready.streams)
    return figures, reconcile(figures.accepted, before, after)


async def _counts(folder: DataFolder, streams: tuple[str, ...]) -> dict[str, int] | None:
    if not folder.control_socket.exists():
        return None
    await drained(folder.control_socket, DRAIN_S_MAX)
    return await stored_counts(folder.control_socket, streams)


def _show(figures: Figures, compared: Reconciled | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("packets/s", f"{figures.per_s:,.0f}")
    table.add_row("p50", f"{figures.p50_ms:.2f} ms")
    table.add_row("p99", f"{figures.p99_ms:.2f} ms")
    if figures.server_cpu_us is not None:
        table.add_row("server CPU per packet", f"{figures.server_cpu_us:.1f} µs")
    table.add_row("acknowledged", f"{figures.acknowledged:,}")
    for answer, count in figures.other.most_common():
        table.add_row(f"other: {answer}", f"{count:,}")
    if compared is not None:
        table.add_row("stored", f"{compared.stored:,}")
        table.add_row("acknowledged − stored", f"{sum(compared.lost.values()):,}")
    console.print(table)
    if figures.generator_bound:
        console.print("The generator used its whole core: the server could take more.")
    if compared is None:
        console.print("The platform is not running, so nothing could be compared with its store.")
    elif compared.lost:
        console.print(f"[bold red]Lost:[/bold red] {compared.lost}")
    else:
        console.print("Every acknowledged packet is in the store.")


@app.command()
def insights(
    *,
    streams: Annotated[
        list[int] | None, typer.Option(min=1, help="How many; again for another number.")
    ] = None,
) -> None:
    """Measure what insights cost a stream, on made-up streams; some minutes at 10,000."""
    # Here and not above: it loads the analytics, which no other command needs.
    from kilowatch.bench.insights import costs  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for count in streams or [1_000, 10_000]:
        found = costs(count, lambda text: console.print(f"[dim]{text} …[/dim]"))
        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_row("streams", f"{found.streams:,}")
        table.add_row("hour by hour", f"{found.live_hours_s:,.0f} h/s")
        table.add_row("history", f"{found.history_hours_s:,.0f} h/s")
        table.add_row("a midnight beside its hour", f"{found.midnight_ms:.2f} ms a stream")
        table.add_row("a forecast of 24 h", f"{found.predict_ms:.2f} ms a stream")
        table.add_row("learning what it needs", f"{found.learn_ms:.2f} ms a stream")
        table.add_row("first training", f"{found.train_s:.1f} s, {found.train_ms:.2f} ms a stream")
        table.add_row("each week's", f"{found.again_s:.1f} s, {found.again_ms:.2f} ms a stream")
        table.add_row("on disk", f"{found.state_bytes / 1e3:.1f} kB a stream")
        console.print(table)
    console.print(
        "h/s: hours of one stream a second of processor time, through forecast, all detectors, "
        "waste and the file."
    )


def register(root: typer.Typer) -> None:
    """Add ``kilowatch bench`` to the command line."""
    root.add_typer(app, name="bench")
