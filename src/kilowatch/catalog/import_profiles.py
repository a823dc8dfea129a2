"""How an organisation's files of history are read, kept under the names that people gave."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.tables_imports import ImportProfile
from kilowatch.model.errors import KilowatchError

PROFILES_MAX = 100
"""Of one organisation: they are offered in one list."""


def listing(session: Session, organisation_id: int) -> list[ImportProfile]:
    """Return an organisation's profiles, by name."""
    mine = select(ImportProfile).where(ImportProfile.organisation_id == organisation_id)
    return list(session.scalars(mine.order_by(ImportProfile.name)))


def keep(change: Change, organisation_id: int, name: str, shape: dict[str, Any]) -> None:
    """Keep how a file is read under a name; one of that name is replaced.

    Args:
        change: An open change.
        organisation_id: Whose.
        name: What a person called it.
        shape: How the file is read, ready for JSON.

    Raises:
        KilowatchError: ``too_many_profiles``.
    """
    known = listing(change.session, organisation_id)
    row = next((one for one in known if one.name == name), None)
    if row is not None:
        row.shape = shape
        return
    if len(known) >= PROFILES_MAX:
        raise KilowatchError(
            "too_many_profiles",
            f"{PROFILES_MAX} profiles are kept already.",
            status=422,
            remedy="Remove one, give the name of one that this replaces, or leave it out.",
            data={"field": "profile_name"},
        )
    change.session.add(
        ImportProfile(
            organisation_id=organisation_id,
            name=name,
            shape=shape,
            created_at_ms=change.now_ms,
        )
    )
