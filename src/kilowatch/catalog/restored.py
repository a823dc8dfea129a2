"""What is done to a catalogue that comes out of a backup, before anybody uses it.

Since the backup people have logged out, changed passwords, or used a mailed link. None of that is
in it, so nothing that lets somebody in without a password or a second factor is taken over.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select

from kilowatch.catalog.changes import Actor
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import organisations
from kilowatch.catalog.tables import LoginSession
from kilowatch.catalog.tables_alerts import AlertChannel
from kilowatch.catalog.tables_people import MailedLink, PendingLogin


def settle(
    catalog: Catalog, actor: Actor, *, file: str, made_ms: int, channels_off: bool = False
) -> None:
    """End every session, and write into each organisation's history that it was restored.

    Args:
        catalog: The restored catalogue.
        actor: Who restores it.
        file: What the backup is called.
        made_ms: When it was made [ms since 1970, UTC].
        channels_off: Whether to switch off every channel of alerts: for a trial.
    """
    made = datetime.fromtimestamp(made_ms / 1000, UTC)
    with catalog.change(actor) as change:
        for table in (LoginSession, PendingLogin, MailedLink):
            change.session.execute(delete(table))
        for organisation in organisations(change.session):
            change.record(
                "restored from a backup", "organisation", organisation.id, organisation.id,
                file=f"{file} of {made:%Y-%m-%d %H:%M} UTC",
            )  # fmt: skip
        if channels_off:
            on = select(AlertChannel).where(AlertChannel.enabled)
            for channel in change.session.scalars(on):
                channel.enabled = False
