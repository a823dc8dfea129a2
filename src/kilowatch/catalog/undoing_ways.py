"""Ways back: columns are set back, what was added is taken away, what was removed comes back.

Each looks first whether what an entry made is still as it made it: undo never throws away a later
change. What a person could not do by hand is refused the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from kilowatch.catalog import giving
from kilowatch.catalog.changes import Change, visible
from kilowatch.catalog.rights import Person
from kilowatch.catalog.tables import AuditEntry, Table, User

CHANGED_SINCE = "changed_since"
SECRETS = frozenset({"password_hash", "secret_digest", "token_digest", "sealed", "encrypted_key"})


class Way(Protocol):
    """How a kind of change is taken back."""

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""

    def take_back(self, change: Change, who: Person, entry: AuditEntry) -> None:
        """Take it back."""


def are(row: Table, columns: dict[str, Any]) -> bool:
    """Tell whether a row has these values."""
    known = inspect(type(row)).columns.keys()
    return all(name in known and getattr(row, name) == value for name, value in columns.items())


def not_of(columns: set[str]) -> str:
    """Return why columns cannot be set back that no way back knows."""
    if columns & SECRETS:
        return "secret"
    return "went_live" if columns & {"live_at_ms", "series", "test_series"} else "by_hand"


@dataclass(frozen=True, slots=True)
class SetBack:
    """A change of a row: its columns get what they were.

    Attributes:
        table: The row's.
        columns: Those that can be set back; another one in the entry forbids it.
        set_back: Does it, with the checks of doing it by hand; None sets the columns.
        check: Looks at the row as it is then.
    """

    table: type[Any]
    columns: frozenset[str]
    set_back: Callable[[Change, Person, Any, dict[str, Any]], object] | None = None
    check: Callable[[Change, Person, Any], object] | None = None

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        unknown = (entry.after.keys() | entry.before.keys()) - self.columns
        if unknown:
            return not_of(set(unknown))
        row = session.get(self.table, entry.subject_id)
        return "" if row is not None and are(row, entry.after) else CHANGED_SINCE

    def take_back(self, change: Change, who: Person, entry: AuditEntry) -> None:
        """Set the columns back."""
        row = change.session.get_one(self.table, entry.subject_id)
        if self.set_back is not None:
            self.set_back(change, who, row, dict(entry.before))
            return
        for column, value in entry.before.items():
            setattr(row, column, value)
        change.session.flush()
        if self.check is not None:
            self.check(change, who, row)


@dataclass(frozen=True, slots=True)
class TakeAway:
    """An addition: the row goes, as long as nothing uses it.

    Attributes:
        table: The row's.
        remove: Does it as a person would.
        used_by: Tables whose rows keep it, with the column that names it.
    """

    table: type[Any]
    remove: Callable[[Change, Person, Any], object]
    used_by: tuple[tuple[type[Any], str], ...] = ()

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        row = session.get(self.table, entry.subject_id)
        if row is None or visible(row) != entry.after:
            return CHANGED_SINCE
        for table, column in self.used_by:
            if session.scalar(select(table.id).filter_by(**{column: row.id}).limit(1)) is not None:
                return "in_use"
        return ""

    def take_back(self, change: Change, who: Person, entry: AuditEntry) -> None:
        """Remove the row."""
        self.remove(change, who, change.session.get_one(self.table, entry.subject_id))
        change.session.flush()


@dataclass(frozen=True, slots=True)
class BringBack:
    """A removal: the row comes back, under its number where no other row can have got it.

    Attributes:
        table: The row's.
        check: Looks whether this person may add the row.
        needs: Returns the word for what else is in the way; empty for nothing.
        same: Columns that tell which rows of the same removal belong together.
        with_: Subject and column of rows that went with it, and come back with it.
    """

    table: type[Any]
    check: Callable[[Change, Person, Any], object] | None = None
    needs: Callable[[Session, dict[str, Any], int], str] | None = None
    same: tuple[str, ...] = ()
    with_: tuple[str, str] | None = None

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        there = (
            session.get(self.table, entry.subject_id)
            if self._numbered
            else session.scalar(select(self.table).filter_by(**entry.before).limit(1))
        )
        if there is not None:
            return CHANGED_SINCE
        assert entry.organisation_id is not None
        if not _referred_are_there(session, self.table, entry.before):
            return "belongs_to_gone"
        if self.needs is None:
            return ""
        return self.needs(session, entry.before, entry.organisation_id)

    def take_back(self, change: Change, who: Person, entry: AuditEntry) -> None:
        """Add the row again, and those that went with it."""
        for one in [entry, *self._twins(change.session, entry)]:
            self._add(change, who, one, self.table)
        if self.with_ is None:
            return
        subject, column = self.with_
        table = next(
            mapper.class_ for mapper in Table.registry.mappers
            if mapper.class_.__tablename__ == subject
        )  # fmt: skip
        for other in _beside(change.session, entry, subject):
            fits = other.before.get(column) == entry.subject_id
            if fits and _referred_are_there(change.session, table, other.before):
                self._add(change, who, other, table, checked=False)

    @property
    def _numbered(self) -> bool:
        """Whether a number is never given twice, so that it can be given back."""
        return bool(self.table.__table__.dialect_kwargs.get("sqlite_autoincrement"))

    def _twins(self, session: Session, entry: AuditEntry) -> list[AuditEntry]:
        if not self.same:
            return []
        return [
            other
            for other in _beside(session, entry, entry.subject)
            if all(other.before.get(name) == entry.before.get(name) for name in self.same)
            and not self.why_not(session, other)
        ]

    def _add(
        self, change: Change, who: Person, entry: AuditEntry, table: type[Any],
        *, checked: bool = True,
    ) -> None:  # fmt: skip
        columns = dict(entry.before)
        if table.__table__.dialect_kwargs.get("sqlite_autoincrement"):
            columns["id"] = entry.subject_id
        if "created_at_ms" in table.__table__.columns:
            columns["created_at_ms"] = change.now_ms
        row = table(organisation_id=entry.organisation_id, **columns)
        change.session.add(row)
        change.session.flush()
        if checked and self.check is not None:
            self.check(change, who, row)


@dataclass(frozen=True, slots=True)
class AccountBack:
    """A change of an account: closing and opening it go back, all else is its owner's."""

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        if entry.after.keys() & SECRETS:
            return "secret"
        if entry.after.keys() != {"disabled_at_ms"}:
            return "own_account"
        user = session.get(User, entry.subject_id)
        return "" if user is not None and are(user, entry.after) else CHANGED_SINCE

    def take_back(self, change: Change, who: Person, entry: AuditEntry) -> None:
        """Open a closed account, or close an opened one."""
        user = change.session.get_one(User, entry.subject_id)
        if entry.after["disabled_at_ms"] is None:
            giving.disable(change, who, user)
        else:
            giving.enable(change, who, user)


def _beside(session: Session, entry: AuditEntry, subject: str) -> list[AuditEntry]:
    """Return what else of a subject was removed in the same change."""
    statement = select(AuditEntry).where(
        AuditEntry.at_ms == entry.at_ms,
        AuditEntry.organisation_id == entry.organisation_id,
        AuditEntry.actor == entry.actor,
        AuditEntry.action == "removed",
        AuditEntry.subject == subject,
        AuditEntry.id != entry.id,
    )
    return list(session.scalars(statement.order_by(AuditEntry.id)))


def _referred_are_there(session: Session, table: type[Any], columns: dict[str, Any]) -> bool:
    """Tell whether all rows are there that columns refer to."""
    mapped = {mapper.local_table: mapper.class_ for mapper in Table.registry.mappers}
    for name, value in columns.items():
        column = table.__table__.columns.get(name)
        for key in column.foreign_keys if column is not None and value is not None else ():
            if session.get(mapped[key.column.table], value) is None:
                return False
    return True
