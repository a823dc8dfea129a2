"""``kilowatch demo``: a server with three simulated buildings that push like any gateway."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console

from kilowatch import catalog, demo
from kilowatch.catalog import secrets
from kilowatch.cli import serve
from kilowatch.cli import settings as settings_module
from kilowatch.cli.folder import DEMO, DataFolder
from kilowatch.cli.settings import Settings
from kilowatch.client import Answer, Trust
from kilowatch.demo import Account, Progress
from kilowatch.model.errors import KilowatchError

log = structlog.get_logger("demo")


def run_demo(
    data: Annotated[Path, typer.Option("--data", help="The demo's own data folder.")] = DEMO,
    history_days: Annotated[int, typer.Option(help="Length of the history.", min=1, max=365)] = 365,
    push_http_port: serve.PushHttpPort = None,
    push_https_port: serve.PushHttpsPort = None,
    dashboard_port: serve.DashboardPort = None,
    dashboard_https_port: serve.DashboardHttpsPort = None,
) -> None:
    """Run the platform with a demo organisation: a year of history, then live packets."""
    folder = DataFolder(data.absolute())
    flags = {
        "push_http_port": push_http_port,
        "push_https_port": push_https_port,
        "dashboard_port": dashboard_port,
        "dashboard_https_port": dashboard_https_port,
    }
    settings = settings_module.load(folder.root, flags, os.environ)
    if settings.environment != "development":
        raise KilowatchError(
            "wrong_setting",
            "The demo runs in the development environment only.",
            remedy="Simulated buildings have no place among production data.",
        )
    folder.create()
    serve.prepare(folder, settings)
    account = _account(folder, settings)
    simulator = Simulator(folder, account, history_days)
    try:
        serve.run(folder, settings, on_ready=simulator.start)
    finally:
        simulator.stop()


def _account(folder: DataFolder, settings: Settings) -> Account:
    opened = catalog.open(folder.catalog)
    try:
        key = secrets.server_key(folder.root, settings.secret_key)
        return demo.organisation(opened, folder.root, key)
    finally:
        opened.close()


class Simulator:
    """The simulated buildings, pushing from a thread of the parent process.

    Args:
        folder: The data folder.
        account: The demo organisation.
        history_days: Length of the history [d].
    """

    def __init__(self, folder: DataFolder, account: Account, history_days: int) -> None:
        self._folder = folder
        self._account = account
        self._history_days = history_days
        self._console = Console(highlight=False, soft_wrap=True)
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._thread: threading.Thread | None = None
        self._live = 0

    def start(self, addresses: dict[str, Any]) -> None:
        """Greet, and begin to push."""
        self._greet(addresses)
        self._thread = threading.Thread(
            target=self._push, args=(addresses["push_https"],), name="simulator", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop pushing; what is under way is not waited for."""
        if self._stop is not None:
            loop, event = self._stop
            loop.call_soon_threadsafe(event.set)
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _push(self, url: str) -> None:
        try:
            asyncio.run(self._run(url))
        except Exception:
            log.exception("the simulator stopped")
            os.kill(os.getpid(), signal.SIGTERM)

    async def _run(self, url: str) -> None:
        stop = asyncio.Event()
        self._stop = (asyncio.get_running_loop(), stop)
        account = self._account
        await demo.run(
            url,
            account.username,
            account.password,
            account.streams,
            stop,
            started_ms=account.started_ms,
            history_days=self._history_days,
            on_progress=self._tell,
            on_trouble=_note,
            trust=Trust(cafile=self._folder.tls / "cert.pem"),
        )

    def _tell(self, progress: Progress) -> None:
        if not progress.live:
            return
        self._live += 1
        if self._live == 1:
            self._console.print("The office's year stands; the other streams follow.")
        if self._live == len(self._account.streams):
            self._console.print("All streams are live.")

    def _greet(self, addresses: dict[str, Any]) -> None:
        account, console = self._account, self._console
        console.print("[bold]Kilowatch[/bold] is running with three simulated buildings.")
        console.print(f"  dashboard  {addresses['dashboard_http']}")
        console.print(f"  account    {account.dashboard_user}")
        password = account.dashboard_password or "(yours: it was changed on the dashboard)"
        console.print(f"  password   {password}", markup=False)
        console.print("Push a packet of your own:")
        console.print(_curl(account, addresses["push_http"]), markup=False)
        console.print("Ctrl-C stops it; the next start goes on where this one stopped.")


def _note(stream: str, answer: Answer, pause_s: float) -> None:
    """A packet that is pushed again is no news; one that is not stored is."""
    level = log.warning if pause_s == 0 else log.debug
    level("a packet was not stored at once", stream=stream, answer=str(answer), again_s=pause_s)


def _curl(account: Account, url: str) -> str:
    return (
        f"  curl -u '{account.username}:{account.password}' {url} -d "
        f'\'{{"id":"{demo.TRY_STREAM}","tsISO8601":"\'$(date +%Y-%m-%dT%H:%M:%S%z)\'",'
        '"value":21.5}\''
    )


def register(app: typer.Typer) -> None:
    """Add ``kilowatch demo`` to the command line."""
    app.command("demo")(run_demo)
