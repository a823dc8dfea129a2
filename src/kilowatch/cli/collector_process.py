"""The collector as a process: the push API and the writer of the log."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from kilowatch import catalog, collector
from kilowatch.catalog import secrets
from kilowatch.cli.child import Ready
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.settings import Settings
from kilowatch.collector import Addresses, CollectorSettings
from kilowatch.health.uptime import BEAT_S, Uptime
from kilowatch.model.lengths import DAY_S


async def run(folder: DataFolder, settings: Settings, stop: asyncio.Event, ready: Ready) -> None:
    """Serve the push API until asked to stop."""
    registered = catalog.open(folder.catalog)
    started_ms = _now_ms()
    up: list[Uptime] = []  # one, from when it serves: a start that is refused was no run
    background: list[asyncio.Task[None]] = []

    def on_ready(addresses: Addresses) -> None:
        up.append(Uptime(folder.uptime("collector"), started_ms))
        background.append(asyncio.create_task(_keep_beating(up[0])))
        ports = {
            "push_http_port": addresses.http_port,
            "push_https_port": addresses.https_port,
        }
        ready(
            {
                "push_http": addresses.push_http,
                "push_https": addresses.push_https,
                "settings": ports,
            }
        )

    try:
        await collector.run(_settings(folder, settings), registered, stop, on_ready)
    finally:
        for task in background:
            task.cancel()
        registered.close()
    for one in up:
        one.end(_now_ms())


async def _keep_beating(up: Uptime) -> None:
    """Note from time to time that this process lives; away from the loop, for a disk may hang."""
    while True:
        await asyncio.sleep(BEAT_S)
        await asyncio.to_thread(up.beat, _now_ms())


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _settings(folder: DataFolder, settings: Settings) -> CollectorSettings:
    return CollectorSettings(
        environment=settings.environment,
        server_key=secrets.server_key(folder.root, settings.secret_key),
        log_path=folder.log,
        control_socket=folder.collector_socket,
        maintenance_file=folder.maintenance,
        tls_dir=folder.tls,
        tls_certificate=_path(settings.tls_certificate),
        tls_key=_path(settings.tls_key),
        host=settings.host,
        http_port=settings.push_http_port,
        https_port=settings.push_https_port,
        public_url=settings.public_push_url,
        trusted_proxies=settings.trusted_proxies,
        log_retention_s=settings.log_retention_days * DAY_S,
    )


def _path(text: str) -> Path | None:
    return Path(text) if text else None
