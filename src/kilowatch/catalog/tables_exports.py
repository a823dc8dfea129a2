"""Links by which spreadsheets and BI tools fetch an export again and again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import (
    NEVER_REUSED,
    SECRET,
    Table,
    id_column,
    reference_to,
    text_column,
)


class ExportLink(Table):
    """A saved export with a token that opens it and nothing else; its history is the account's.

    It reaches one organisation, and there what its person may export when it is used.
    """

    audited = False
    __tablename__ = "export_link"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    user_id: Mapped[int] = reference_to("user.id")
    name: Mapped[str] = text_column(100)
    definition: Mapped[dict[str, Any]]
    format: Mapped[str] = text_column(10)
    token_digest: Mapped[bytes] = mapped_column(LargeBinary, unique=True, info=SECRET)
    in_address: Mapped[bool]
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]
    last_used_ms: Mapped[int | None]
    last_address: Mapped[str] = text_column(100, default="")
