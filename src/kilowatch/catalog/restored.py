"""What is done to a catalogue that comes out of a backup, before anybody uses it.

Since the backup people have logged out, changed passwords, used a mailed link, or withdrawn an
invitation. None of that is in it, so no session, mailed link or open invitation is taken over.
What programs rest on is: API tokens and export links work as they did when the backup was made, and
so do passwords, second factors and recovery codes. Who restores takes back again what was revoked.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select

from kilowatch.catalog import invitations
from kilowatch.catalog.changes import Actor
from kilowatch.catalog.database import Catalog
from kilowatch.catalog.registry import organisations
from kilowatch.catalog.tables import LoginSession
from kilowatch.catalog.tables_alerts import AlertChannel
from kilowatch.catalog.tables_people import MailedLink, PendingLogin


def settle(
    catalog: Catalog, actor: Actor, *, file: str, made_ms: int, channels_off: bool = False
) -> None:
    """End sessions and open invitations; each organisation's history says that it was restored.

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
            for invitation in invitations.open_invitations(change.session, organisation.id):
                invitations.withdraw(change, invitation)
            change.record(
                "restored from a backup", "organisation", organisation.id, organisation.id,
                file=f"{file} of {made:%Y-%m-%d %H:%M} UTC",
            )  # fmt: skip
        if channels_off:
            on = select(AlertChannel).where(AlertChannel.enabled)
            for channel in change.session.scalars(on):
                channel.enabled = False
