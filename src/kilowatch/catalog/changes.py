"""A change to the catalogue: one transaction, its audit entries, and the revision's step.

The audit history and the revision hang on what SQLAlchemy writes, not on the good memory of
whoever writes a new function: no change through a ``Change`` can miss them. Statements that pass
the objects by (``update(…)``) do; they are for bookkeeping such as a credential's last use.
"""

from __future__ import annotations

import getpass
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import event, insert, inspect, update
from sqlalchemy.orm import Session

from kilowatch.catalog.tables import (
    AuditEntry,
    Counter,
    Organisation,
    Table,
)

RECORDED: frozenset[tuple[str, str]] = frozenset(
    {("applied a table", "data_point"), ("imported", "data_point"), ("backfilled", "data_point"),
     ("dismissed", "data_point"), ("decided for the stored values", "data_point"),
     ("decided for the offered values", "data_point"), ("logged in", "user"),
     ("mistyped the password", "user"), ("ended a session", "user"),
     ("ended the other sessions", "user"), ("asked for another address", "user"),
     ("asked for a new password", "user"), ("sent a link for a new password", "user"),
     ("set a new password by mail", "user"), ("made an API token", "user"),
     ("revoked an API token", "user"), ("made an export link", "user"),
     ("revoked an export link", "user"), ("set up a second factor", "user"),
     ("removed the second factor", "user"), ("made recovery codes", "user"),
     ("used a recovery code", "user"), ("restored from a backup", "organisation")}
)  # fmt: skip
"""Every action, with its subject, that ``Change.record`` takes: each has words and a decision about
undo (``undoing.py``)."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change.

    Attributes:
        name: As the audit history shows it: an e-mail address, or a program and its user.
        user_id: The person's number, or None for a program.
        address: Where the request came from, or an empty string.
    """

    name: str
    user_id: int | None = None
    address: str = ""

    @classmethod
    def shell(cls) -> Actor:
        """Return the person at the command line, by the operating system's name."""
        try:
            return cls(f"{getpass.getuser()} (command line)")
        except (KeyError, OSError):  # a container's user number without a name
            return cls("command line")


@dataclass(slots=True)
class Change:
    """An open transaction; made by ``Catalog.change``, which commits it at the end.

    Attributes:
        session: SQLAlchemy's session; what is added to it is audited.
        actor: Who makes the change.
        now_ms: When, the same for everything in it [ms since 1970, UTC].
        names_on_site: What ``same_names.py`` has read, so that thousands cost one look.
        undoes_id: The audit entry that it takes back, or None.
    """

    session: Session
    actor: Actor
    now_ms: int
    names_on_site: dict[int, dict[str, list[Any]]] = field(default_factory=dict, init=False)
    undoes_id: int | None = None
    _steps: set[str] = field(default_factory=set, init=False)
    _entries: list[dict[str, Any]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        event.listen(self.session, "after_flush", self._after_flush)

    def next_series(self, count: int = 1) -> int:
        """Take ``count`` new series numbers; returns the first, the others follow it."""
        statement = (
            update(Counter)
            .where(Counter.name == "series")
            .values(value=Counter.value + count)
            .returning(Counter.value)
        )
        return self.session.execute(statement).scalar_one() - count + 1

    def record(
        self,
        action: str,
        subject: str,
        subject_id: int | None,
        organisation_id: int | None = None,
        **after: Any,
    ) -> None:
        """Add an audit entry for what is no change of a row, such as a log-in."""
        assert (action, subject) in RECORDED, (action, subject)
        self._audit(action, subject, subject_id, organisation_id, {}, after)
        self._write_entries()

    def finish(self) -> None:
        """Write what is open and step the revision if collector or pipeline must see it."""
        self.session.flush()
        if self._steps:
            step = update(Counter).where(Counter.name.in_(self._steps))
            self.session.execute(step.values(value=Counter.value + 1))

    def _after_flush(self, session: Session, _context: object) -> None:
        for row in session.new:
            self._note("created", row, {}, visible(row))
        for row in session.deleted:
            self._note("removed", row, visible(row), {})
        for row in session.dirty:
            before, after = _difference(row)
            if after:
                self._note("changed", row, before, after)
        self._write_entries()

    def _note(self, action: str, row: Any, before: dict[str, Any], after: dict[str, Any]) -> None:
        if row.seen_by_collector:
            self._steps.add("revision")
        if row.describes_streams:
            self._steps.add("streams")
        if not row.audited:
            return
        owner = row.id if isinstance(row, Organisation) else getattr(row, "organisation_id", None)
        self._audit(action, row.__tablename__, row.id, owner, before, after)

    def _audit(
        self,
        action: str,
        subject: str,
        subject_id: int | None,
        organisation_id: int | None,
        before: dict[str, Any],
        after: dict[str, Any],
    ) -> None:
        self._entries.append(
            {
                "at_ms": self.now_ms,
                "actor": self.actor.name,
                "user_id": self.actor.user_id,
                "address": self.actor.address,
                "action": action,
                "subject": subject,
                "subject_id": subject_id,
                "organisation_id": organisation_id,
                "before": before,
                "after": after,
                "undoes_id": self.undoes_id,
            }
        )

    def _write_entries(self) -> None:
        """Write the entries of a flush together: a table of 10,000 data points has 40,000."""
        entries, self._entries = self._entries, []
        if entries:
            self.session.connection().execute(insert(AuditEntry), entries)


def visible(row: Table) -> dict[str, Any]:
    """Return what the history tells of a row that is added or removed; secrets never."""
    columns = inspect(type(row)).columns
    return {
        name: getattr(row, name)
        for name, column in columns.items()
        if not column.info.get("secret")
        and name not in {"id", "organisation_id", "created_at_ms"}  # the entry has them itself
        and getattr(row, name) not in (None, "")  # a JSON column has no hash
    }


def _difference(row: Table) -> tuple[dict[str, Any], dict[str, Any]]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    state = inspect(row)
    for name, column in inspect(type(row)).columns.items():
        history = state.attrs[name].history
        if not history.has_changes():
            continue
        if column.info.get("secret"):
            after[name] = "replaced"
            continue
        before[name] = history.deleted[0] if history.deleted else None
        after[name] = history.added[0] if history.added else None
    return before, after
