"""Files of history that somebody is looking at, and how such files were read before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import NEVER_REUSED, Table


class HistoryFile(Table):
    """A file of history on trial, compressed, and how it is to be read."""

    audited = False
    __tablename__ = "history_file"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    user_id: Mapped[int] = mapped_column(Integer, ForeignKey("user.id"), index=True)
    created_at_ms: Mapped[int]
    name: Mapped[str] = mapped_column(String(200))
    shape: Mapped[dict[str, Any]]
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ImportProfile(Table):
    """How an organisation's files of one kind are read, by the name that a person gave it."""

    __tablename__ = "import_profile"
    __table_args__ = (UniqueConstraint("organisation_id", "name"), NEVER_REUSED)
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    organisation_id: Mapped[int] = mapped_column(Integer, ForeignKey("organisation.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    shape: Mapped[dict[str, Any]]
    created_at_ms: Mapped[int]
