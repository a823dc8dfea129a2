"""Telling people, put together: silences and values in, messages out."""

from __future__ import annotations

import asyncio

import structlog

from kilowatch.catalog import Catalog, secrets
from kilowatch.catalog.database import now_ms
from kilowatch.cli.folder import DataFolder
from kilowatch.cli.settings import Settings
from kilowatch.health.deliveries import Deliveries, DeliveryOutcome
from kilowatch.notify.addresses import parse_networks
from kilowatch.notify.carriers import Outcome
from kilowatch.notify.mail import Mailer
from kilowatch.notify.needs import Sources
from kilowatch.notify.service import Notifier, NotifySettings
from kilowatch.pipeline.view import View

log = structlog.get_logger("alerting")

AGAIN_S = 1.0


def create_notifier(
    folder: DataFolder,
    settings: Settings,
    catalog: Catalog,
    sources: Sources,
    mailer: Mailer,
    url: str,
    deliveries: Deliveries,
) -> Notifier:
    """Return the service that tells people, not started yet.

    Args:
        folder: The data folder.
        settings: The server's settings.
        catalog: The registry, open.
        sources: Data points, silences and measurements.
        mailer: Sends e-mail.
        url: Address of the dashboard as people see it, for links.
        deliveries: Counts what becomes of each attempt.
    """

    def tell(kind: str, outcome: Outcome) -> None:
        failed: DeliveryOutcome = "retried" if outcome.helps else "failed"
        deliveries.note(kind, "delivered" if outcome.ok else failed, now_ms(), outcome.reason)

    return Notifier(
        catalog,
        sources,
        mailer,
        NotifySettings(
            folder.notify,
            secrets.server_key(folder.root, settings.secret_key),
            parse_networks(settings.alert_networks),
            url,
        ),
        tell=tell,
    )


async def follow_values(view: View, notifier: Notifier) -> None:
    """Tell the service which series have new readings, until cancelled."""
    while True:
        subscription = view.subscribe(asyncio.get_running_loop(), None)
        try:
            async for changed in subscription:
                notifier.changed(changed)
        except Exception:  # without it no value would raise an alert until the next start
            log.exception("following values stopped; trying again")
        finally:
            subscription.close()
        await asyncio.sleep(AGAIN_S)
