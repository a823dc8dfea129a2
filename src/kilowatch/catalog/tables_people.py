"""What the catalogue keeps about people beside their account and role.

A token that is mailed or shown once is stored as its keyed digest, a recovery code as Argon2id,
and the key of a second factor encrypted with a key that is not in this file.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Integer,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import (
    NEVER_REUSED,
    SECRET,
    Role,
    Table,
    id_column,
    reference_to,
    text_column,
)

Purpose = Literal["password", "address"]


def _digest() -> Mapped[bytes]:
    return mapped_column(LargeBinary, unique=True, info=SECRET)


class Plan(Table):
    """Which tools those see who have it; ``tools`` are words with a space between them.

    A membership without a plan has every tool, also those of later versions.
    """

    __tablename__ = "plan"
    __table_args__ = (UniqueConstraint("organisation_id", "name"), NEVER_REUSED)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    name: Mapped[str] = text_column(100)
    tools: Mapped[str] = text_column(1000)
    created_at_ms: Mapped[int]


class Group(Table):
    """A named set of sites and data points, and of the people who may see them."""

    seen_by_collector = True
    __tablename__ = "user_group"
    __table_args__ = (UniqueConstraint("organisation_id", "name"), NEVER_REUSED)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    name: Mapped[str] = text_column(100)
    created_at_ms: Mapped[int]


class GroupMember(Table):
    """A person in a group; it opens nothing to who has no role in the organisation."""

    seen_by_collector = True
    __tablename__ = "group_member"
    __table_args__ = (UniqueConstraint("group_id", "user_id"),)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    group_id: Mapped[int] = reference_to("user_group.id")
    user_id: Mapped[int] = reference_to("user.id")
    created_at_ms: Mapped[int]


class GroupPlace(Table):
    """A site, or one data point, of a group."""

    seen_by_collector = True
    __tablename__ = "group_place"
    __table_args__ = (
        UniqueConstraint("group_id", "site_id", "data_point_id"),
        CheckConstraint("(site_id IS NULL) <> (data_point_id IS NULL)", name="one_target"),
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    group_id: Mapped[int] = reference_to("user_group.id")
    site_id: Mapped[int | None] = reference_to("site.id")
    data_point_id: Mapped[int | None] = reference_to("data_point.id")
    created_at_ms: Mapped[int]


class Invitation(Table):
    """A role that waits for somebody to come and take it.

    ``site_ids`` and ``data_point_ids`` are numbers with a space between them.
    """

    __tablename__ = "invitation"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    email: Mapped[str] = text_column(254)
    name: Mapped[str] = text_column(200, default="")
    role: Mapped[Role] = text_column(30)
    whole_organisation: Mapped[bool]
    site_ids: Mapped[str] = text_column(4000, default="")
    data_point_ids: Mapped[str] = text_column(4000, default="")
    plan_id: Mapped[int | None] = reference_to("plan.id")
    invited_by_id: Mapped[int | None] = reference_to("user.id")
    token_digest: Mapped[bytes] = _digest()
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    accepted_at_ms: Mapped[int | None]
    withdrawn_at_ms: Mapped[int | None]


class MailedLink(Table):
    """A token that was mailed to somebody: who brings it reads that mailbox."""

    audited = False
    __tablename__ = "mailed_link"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    purpose: Mapped[Purpose] = text_column(10)
    user_id: Mapped[int] = reference_to("user.id")
    email: Mapped[str] = text_column(254)
    token_digest: Mapped[bytes] = _digest()
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    used_at_ms: Mapped[int | None]


class SecondFactor(Table):
    """An authenticator of a person; ``last_step`` is the latest code's number, used up.

    Its history is told with the account's (``Change.record``), which organisations see.
    """

    audited = False
    __tablename__ = "second_factor"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    user_id: Mapped[int] = mapped_column(Integer, ForeignKey("user.id"), unique=True)
    encrypted_key: Mapped[bytes] = mapped_column(LargeBinary, info=SECRET)
    last_step: Mapped[int] = mapped_column(default=0, info=SECRET)
    created_at_ms: Mapped[int]
    confirmed_at_ms: Mapped[int | None]


class RecoveryCode(Table):
    """A code that stands in once for a lost authenticator."""

    audited = False
    __tablename__ = "recovery_code"
    id: Mapped[int] = id_column()
    user_id: Mapped[int] = reference_to("user.id")
    code_hash: Mapped[str] = text_column(200, info=SECRET)
    created_at_ms: Mapped[int]
    used_at_ms: Mapped[int | None]


class PendingLogin(Table):
    """Somebody who knew the password and still owes the second factor."""

    audited = False
    __tablename__ = "pending_login"
    id: Mapped[int] = id_column()
    token_digest: Mapped[bytes] = _digest()
    user_id: Mapped[int] = reference_to("user.id")
    known_device: Mapped[str] = text_column(64, default="")
    address: Mapped[str] = text_column(100)
    user_agent: Mapped[str] = text_column(300)
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]


class ApiToken(Table):
    """A token with which a program acts as a person; its history is the account's."""

    audited = False
    __tablename__ = "api_token"
    __table_args__ = NEVER_REUSED
    id: Mapped[int] = id_column()
    user_id: Mapped[int] = reference_to("user.id")
    name: Mapped[str] = text_column(100)
    token_digest: Mapped[bytes] = _digest()
    read_only: Mapped[bool]
    created_at_ms: Mapped[int]
    expires_at_ms: Mapped[int]
    revoked_at_ms: Mapped[int | None]
    last_used_ms: Mapped[int | None]
    last_address: Mapped[str] = text_column(100, default="")
