"""What the catalogue keeps about telling people: channels, rules, and which rule uses which.

What came of them (alerts, deliveries, attempts) is in ``notify``'s own file: docs/decisions/0015.
"""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import (
    CheckConstraint,
    Integer,
    LargeBinary,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from kilowatch.catalog.tables import (
    NEVER_REUSED,
    SECRET,
    Table,
    id_column,
    reference_to,
    text_column,
)

ChannelKind = Literal["email", "webhook", "apprise"]
RuleKind = Literal["offline", "threshold", "cumulated", "sentinel"]

RULE_KINDS: tuple[RuleKind, ...] = ("offline", "threshold", "cumulated", "sentinel")


class AlertChannel(Table):
    """A way to reach people: an e-mail address, a webhook, or a service by its Apprise URL.

    ``shown`` is what pages and history may show of it; everything else, the URL included, is in
    ``sealed``, encrypted under the server's key.
    """

    __tablename__ = "alert_channel"
    __table_args__ = (
        UniqueConstraint("organisation_id", "name"),
        CheckConstraint("kind IN ('email', 'webhook', 'apprise')", name="kind"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    name: Mapped[str] = text_column(200)
    kind: Mapped[ChannelKind] = mapped_column(String(10))
    shown: Mapped[str] = text_column(300)
    sealed: Mapped[bytes] = mapped_column(LargeBinary, info=SECRET)
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at_ms: Mapped[int]


class AlertRule(Table):
    """When to tell, and how; ``notify.rules.Terms`` explains ``terms``.

    It watches one data point, all of a site, or all of the organisation: at most one of
    ``data_point_id`` and ``site_id`` is set.
    """

    __tablename__ = "alert_rule"
    __table_args__ = (
        CheckConstraint("kind IN ('offline', 'threshold', 'cumulated', 'sentinel')", name="kind"),
        CheckConstraint("site_id IS NULL OR data_point_id IS NULL", name="one_target"),
        NEVER_REUSED,
    )
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    site_id: Mapped[int | None] = reference_to("site.id")
    data_point_id: Mapped[int | None] = reference_to("data_point.id")
    name: Mapped[str] = text_column(200)
    kind: Mapped[RuleKind] = mapped_column(String(10))
    terms: Mapped[dict[str, Any]]
    enabled: Mapped[bool] = mapped_column(default=True)
    created_at_ms: Mapped[int]


class AlertRuleChannel(Table):
    """A channel that a rule uses: at once (``stage`` 0), or when nobody acknowledged (1)."""

    __tablename__ = "alert_rule_channel"
    __table_args__ = (UniqueConstraint("rule_id", "channel_id", "stage"),)
    id: Mapped[int] = id_column()
    organisation_id: Mapped[int] = reference_to("organisation.id")
    rule_id: Mapped[int] = reference_to("alert_rule.id")
    channel_id: Mapped[int] = reference_to("alert_channel.id")
    stage: Mapped[int] = mapped_column(Integer, default=0)
