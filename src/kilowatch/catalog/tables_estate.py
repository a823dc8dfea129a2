"""What the administration pages keep: handed-over startup packages, and files on trial.

Neither holds a secret. A package's password is made when its link is opened, and only a keyed
digest of the link is here.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, SECRET, Environment, Table


class PackageLink(Table):
    """A one-time link that opens a startup package.

    Opening issues the credential and the account's first password, and shows both once;
    ``credential_id`` is the credential that was issued then.
    """

    __tablename__ = "package_link"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    user_id: Mapped[int] = mapped_column(Integer, ForeignKey("user.id"), index=True)
    credential_id: Mapped[int | None] = mapped_column(
        Integer, ForeignKey("credential.id"), index=True
    )
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True, info=SECRET)
    environment: Mapped[Environment] = mapped_column(String(12))
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    opened_at_ms: Mapped[int | None]
    sent_at_ms: Mapped[int | None]


class ImportDraft(Table):
    """A file of data points that somebody is looking at before it is applied."""

    audited = False
    __tablename__ = "import_draft"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    user_id: Mapped[int] = mapped_column(Integer, ForeignKey("user.id"), index=True)
    created_at_ms: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    content: Mapped[bytes] = mapped_column(LargeBinary)
