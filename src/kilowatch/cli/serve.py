"""``kilowatch serve``: read the settings, start the processes, say where they listen."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console

from kilowatch import catalog
from kilowatch.catalog import secrets
from kilowatch.cli import settings as settings_module
from kilowatch.cli.folder import DEFAULT, DataFolder
from kilowatch.cli.logs import configure_logs
from kilowatch.cli.options import Data
from kilowatch.cli.settings import Settings
from kilowatch.cli.supervisor import STOP_S_MAX, Child, supervise
from kilowatch.model.errors import KilowatchError


def _port(what: str, usual: int) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        help=f"{what}; 0 takes a free one.", show_default=str(usual)
    )
    return option


PushHttpPort = Annotated[int | None, _port("Push API, HTTP", 8080)]
PushHttpsPort = Annotated[int | None, _port("Push API, HTTPS", 8443)]
DashboardPort = Annotated[int | None, _port("Dashboard, HTTP", 8000)]
DashboardHttpsPort = Annotated[int | None, _port("Dashboard, HTTPS", 8444)]


def serve(
    data: Data = DEFAULT,
    environment: Annotated[
        str | None, typer.Option(help="development or production.", show_default="development")
    ] = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")
    ] = None,
    push_http_port: PushHttpPort = None,
    push_https_port: PushHttpsPort = None,
    dashboard_port: DashboardPort = None,
    dashboard_https_port: DashboardHttpsPort = None,
    only: Annotated[str | None, typer.Option(help="collector or platform alone.")] = None,
) -> None:
    """Run the platform: push API, pipeline, store and dashboard."""
    folder = DataFolder(data.absolute())
    settings = settings_module.load(
        folder.root,
        {
            "environment": environment,
            "host": host,
            "push_http_port": push_http_port,
            "push_https_port": push_https_port,
            "dashboard_port": dashboard_port,
            "dashboard_https_port": dashboard_https_port,
        },
        os.environ,
    )
    if only not in (None, *CHILDREN):
        raise KilowatchError("wrong_setting", f"--only takes collector or platform, not {only!r}.")
    run(folder, settings, (only,) if only else CHILDREN)


CHILDREN = ("collector", "platform")
ORPHAN_S_MAX = STOP_S_MAX + 5.0
"""A child whose parent was killed ends within ``STOP_S_MAX``. Until then it may be sending a
message, or writing what it has found: another one beside it would do so a second time."""
PORTS = ("push_http_port", "push_https_port", "dashboard_port", "dashboard_https_port")


def run(
    folder: DataFolder,
    settings: Settings,
    names: tuple[str, ...] = CHILDREN,
    on_ready: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Serve until a signal comes; also what ``kilowatch demo`` runs underneath.

    Args:
        folder: The data folder.
        settings: The settings of the server.
        names: The processes to run.
        on_ready: Called once with the addresses; without it, they are printed.

    Raises:
        KilowatchError: The folder, a port or a setting can't be used.
    """
    os.umask(0o077)  # whatever is made in the data folder is for this user alone
    folder.create()
    with contextlib.ExitStack() as stack:
        locks = [stack.enter_context(alone(folder, name, wait_s=ORPHAN_S_MAX)) for name in names]
        _serve(folder, settings, dict(zip(names, locks, strict=True)), on_ready)


@contextlib.contextmanager
def alone(
    folder: DataFolder,
    name: str,
    remedy: str = "Stop it first, or choose another folder with --data.",
    wait_s: float = 0.0,
) -> Iterator[int]:
    """Hold what says that this folder has its collector, or its platform.

    Args:
        folder: The data folder.
        name: ``collector`` or ``platform``.
        remedy: What to do where it has one already.
        wait_s: How long to wait for a process whose parent was killed: it ends by itself [s].

    Yields:
        The lock's descriptor. Who inherits it holds the lock too, until the last of them is gone.

    Raises:
        KilowatchError: ``already_running``.
    """
    with (folder.root / f"{name}.lock").open("a+") as lock:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until_s or _parent_lives(lock):
                    raise KilowatchError(
                        "already_running",
                        f"The {name} of {folder.root} is already running.",
                        remedy=remedy,
                    ) from None
                time.sleep(0.1)
            else:
                break
        with contextlib.suppress(OSError):  # a full disk: then nobody waits for our orphans
            os.ftruncate(lock.fileno(), 0)
            os.write(lock.fileno(), str(os.getpid()).encode())
        yield lock.fileno()


def _parent_lives(lock: TextIO) -> bool:
    """Tell whether the process that took a lock is there, and not only those that it started."""
    lock.seek(0)
    holder = lock.read()
    try:
        os.kill(int(holder), 0)
    except ValueError:
        return True  # it has just taken it, or says nothing
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _serve(
    folder: DataFolder,
    settings: Settings,
    locks: Mapping[str, int],
    on_ready: Callable[[dict[str, Any]], None] | None,
) -> None:
    with folder.answering_for_its_disk():
        prepare(folder, settings)
    told: dict[str, Any] = {"folder": str(folder.root), "settings": asdict(settings)}
    children = [Child(name, told, lock=lock) for name, lock in locks.items()]
    if on_ready is None:
        on_ready = partial(_greet, folder, tuple(locks))

    greeted = False

    def ready(said: dict[str, dict[str, Any]]) -> None:
        nonlocal greeted
        addresses = {**folder.read_addresses(), "environment": settings.environment}
        pids = {name: message["pid"] for name, message in said.items()}
        for message in said.values():
            addresses.update({key: value for key, value in message.items() if key != "pid"})
        addresses["ports"] = [told["settings"][port] for port in PORTS]
        addresses["pids"] = {**addresses.get("pids", {}), "serve": os.getpid(), **pids}
        folder.write_addresses(addresses)
        if not greeted:
            greeted = True
            on_ready(addresses)

    asyncio.run(supervise(children, on_ready=ready, on_stop=_tell_of_stop))


def _tell_of_stop(at_once: bool) -> None:
    if at_once:
        _say("Ended at once: the next start takes in again what was not stored yet.")
    else:
        _say("Stopping: what is under way is finished and stored. Ctrl-C again ends it now.")


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads: no reason not to go on
        Console(highlight=False, soft_wrap=True).print(text, markup=False)


def prepare(folder: DataFolder, settings: Settings) -> None:
    """Make what the processes expect to find: a key and an up-to-date catalogue."""
    configure_logs(settings.log_level, "serve")
    secrets.server_key(folder.root, settings.secret_key)
    catalog.open(folder.catalog).close()


def _greet(folder: DataFolder, names: tuple[str, ...], addresses: dict[str, Any]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"[bold]Kilowatch[/bold] is serving ({addresses['environment']}).")
    if "collector" in names:
        console.print(f"  push       {addresses['push_https']}")
        if addresses["environment"] == "development":
            console.print(f"             {addresses['push_http']}  (this machine only)")
    if "platform" in names:
        console.print(f"  dashboard  {addresses['dashboard_https']}")
        if addresses["environment"] == "development":
            console.print(f"             {addresses['dashboard_http']}  (this machine only)")
    console.print(f"  data       {folder.root}")
    console.print("Ctrl-C stops it. The first account: [bold]kilowatch account first --help[/bold]")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch serve`` to the command line."""
    app.command()(serve)
