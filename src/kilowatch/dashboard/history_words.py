"""What an entry of the history says, in a sentence: "changed the interval of Main supply …"."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from kilowatch.catalog import spans
from kilowatch.catalog.factors_check import FACTORS
from kilowatch.catalog.tables import AuditEntry, Table
from kilowatch.dashboard import history_of_sites
from kilowatch.dashboard.dated_form import setting_text
from kilowatch.dashboard.periods import clock_text
from kilowatch.dashboard.words import catalogue, t

NAMES = ("name", "email", "username", "city")
VALUE_MAX = 120
OWNERS = {"data_point_id": "data_point", "rule_id": "alert_rule", "site_id": "site"}
COUNTS = ("packets", "create", "change", "same")
STAYING = (
    "data_point_id", "site_id", "from_ms", "email", "user_id", "role", *history_of_sites.STAYING
)  # fmt: skip


_NUMBER = re.compile(r"#(\d{1,18})")  # of a data point in a formula that is kept


class Teller:
    """Puts entries into words; what it looked up it remembers, for one page.

    Args:
        session: The catalogue as it is now, for the names of what is still there.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[tuple[str, int], str] = {}
        self._kinds = {
            mapper.class_.__tablename__: mapper.class_ for mapper in Table.registry.mappers
        }

    def sentence(self, entry: AuditEntry) -> str:
        """Return what somebody did, without who and when."""
        special = f"history.{entry.action}.{entry.subject}"
        if "undone_at_ms" in entry.after and entry.after["undone_at_ms"] is None:
            special = "history.restored.correction"
        if special in catalogue():
            values = self._values(entry)
            of_sites = history_of_sites.said(self._columns(entry), values["place"])
            return t(special).format(**values, **self._said(entry), **of_sites)
        if entry.action == "changed":
            return self._changed(entry)
        subject = subject_word(entry.subject)
        general = f"history.{entry.action}"
        if general in catalogue():
            return t(general).format(subject=subject, name=self._name(entry)).strip()
        said = [f"{self._label(k)} {self._value(entry, k, v)}" for k, v in entry.after.items()]
        about = f" {self._name(entry)}".rstrip()
        return f"{entry.action}{about}{' (' if said else ''}{', '.join(said)}{')' if said else ''}"

    def _changed(self, entry: AuditEntry) -> str:
        name = self._name(entry)
        sentences = []
        for column, after in entry.after.items():
            label = self._label(column)
            if column not in entry.before:
                sentences.append(t("history.replaced").format(field=label, name=name))
                continue
            if isinstance(after, dict | list):
                sentences.append(t("history.changed_whole").format(field=label, name=name))
                continue
            before = self._value(entry, column, entry.before[column])
            sentences.append(
                t("history.changed").format(
                    field=label, name=name, before=before, after=self._value(entry, column, after)
                )
            )
        return "; ".join(sentences)

    def _said(self, entry: AuditEntry) -> dict[str, str]:
        """Return what a sentence about packets, files, dated settings or rules may speak of."""
        columns = self._columns(entry)
        reason, from_ms = str(columns.get("reason", "")), columns.get("from_ms")
        fields = columns.get("fields") or {}
        since = t(
            "history.since_ever" if fields.keys() & FACTORS.keys() else "history.since_before"
        )
        if from_ms is not None:
            since = t("history.since").format(at=clock_text(from_ms, "UTC") + " UTC")
        counts = {name: str(columns.get(name, "")) for name in COUNTS}
        if not counts["packets"]:
            kept = columns.get("kept") or ()
            counts["packets"] = str(len(kept)) if kept else t("history.every_one")
        return counts | {
            "file": str(columns.get("file", "")),
            "because": t("history.because").format(reason=reason) if reason else "",
            "since": since,
            "event": t(f"event.{columns['kind']}") if entry.subject == "meter_event" else "",
            "zone": str(columns.get("zone", "")),
            "code": str(columns.get("code", "")),
            "text": self._text(entry, str(columns.get("text", "")))[:VALUE_MAX],
            "rule": self._of("alert_rule", columns.get("rule_id")),
            "channel": self._of("alert_channel", columns.get("channel_id")),
            "settings": self._settings(fields),
        }

    def _text(self, entry: AuditEntry, text: str) -> str:
        """Return the words of an entry; a formula with the names of what it is made of."""
        if not entry.subject.startswith("formula"):
            return text
        return _NUMBER.sub(lambda found: f"[{self._of('data_point', found[1])}]", text)

    def _settings(self, fields: dict[str, Any]) -> str:
        """Return settings with their names, as the page of the data point tells them."""
        said = []
        for name, value in fields.items():
            feeder = name == "parent_id" and value is not None
            told = self._of("data_point", value) if feeder else setting_text(name, value)
            said.append(f"{t(f'setting.{name}')} {told}")
        return ", ".join(said) or t("history.nothing")

    def _columns(self, entry: AuditEntry) -> dict[str, Any]:
        """Return an entry's columns; those that a change left alone as the row has them now."""
        columns = {**entry.before, **entry.after}
        kind = self._kinds.get(entry.subject)
        if entry.action != "changed" or kind is None:
            return columns
        row = self._session.get(kind, entry.subject_id)
        return {**{name: getattr(row, name, None) for name in STAYING}, **columns}

    def _values(self, entry: AuditEntry) -> dict[str, str]:
        """Return everything that a special sentence may speak of."""
        columns = self._columns(entry)
        place = (
            self._of("site", columns.get("site_id"))
            or self._of("data_point", columns.get("data_point_id"))
        )  # fmt: skip
        return {
            "name": self._name(entry),
            "account": self._of(entry.subject, entry.subject_id),
            "person": self._of("user", columns.get("user_id")),
            "group": self._of("user_group", columns.get("group_id")),
            "place": place,
            "role": str(columns.get("role", "")),
            "email": str(columns.get("email", "")),
        }

    def _name(self, entry: AuditEntry) -> str:
        columns = {**entry.before, **entry.after}
        if entry.subject == "membership" and entry.subject_id:
            user_id = columns.get("user_id") or self._owner(entry)
            return self._of("user", user_id)
        for name in NAMES:
            if entry.action != "changed" and columns.get(name):
                return str(columns[name])
        return self._of(entry.subject, entry.subject_id) or str(columns.get("name", ""))

    def _owner(self, entry: AuditEntry) -> int | None:
        row = self._session.get(self._kinds[entry.subject], entry.subject_id)
        return getattr(row, "user_id", None)

    def _of(self, table: str, number: Any) -> str:
        """Return what a row is called, or its number where it is gone."""
        if number is None or table not in self._kinds:
            return ""
        key = (table, int(number))
        if key not in self._names:
            row = self._session.get(self._kinds[table], number)
            found = [str(getattr(row, n)) for n in NAMES if getattr(row, n, "")]
            if not found and row is not None:  # without a name of its own, but of something
                found = [self._owned_by(row) or f"no. {number}"]
            self._names[key] = found[0] if found else t("history.gone").format(number=number)
        return self._names[key]

    def _owned_by(self, row: Any) -> str:
        """Return the name of what a row without one belongs to: a setting to its data point."""
        for column, table in OWNERS.items():
            if getattr(row, column, None) is not None:
                return self._of(table, getattr(row, column))
        return ""

    def _label(self, column: str) -> str:
        key = f"history.field.{column}"
        return t(key) if key in catalogue() else column.removesuffix("_id").replace("_", " ")

    def _value(self, entry: AuditEntry, column: str, value: Any) -> str:
        if value is None or value == "":
            full = column == "plan_id"
            return t("history.full") if full else t("history.nothing")
        if isinstance(value, bool):
            return t("history.yes") if value else t("history.no")
        if column == "tools":
            return ", ".join(t(f"tool.{tool}") for tool in str(value).split())
        if isinstance(value, int):
            return self._number(entry, column, value)
        text = f"{value:.15g}" if isinstance(value, float) else str(value)
        return text if len(text) <= VALUE_MAX else f"{text[:VALUE_MAX]} …"

    def _number(self, entry: AuditEntry, column: str, value: int) -> str:
        if column == "interval_s":
            return spans.interval_text(value)
        if column.endswith("_ms"):
            return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        referred = self._referred(entry.subject, column) if column.endswith("_id") else ""
        return self._of(referred, value) if referred else str(value)

    def _referred(self, subject: str, column: str) -> str:
        """Return the table that a column refers to."""
        kind = self._kinds.get(subject)
        found = inspect(kind).columns.get(column) if kind is not None else None
        keys = list(found.foreign_keys) if found is not None else []
        return keys[0].column.table.name if keys else ""


def known_subjects() -> list[str]:
    """Return every sort of thing that the history has a word for."""
    begin = "history.subject."
    return [key.removeprefix(begin) for key in catalogue() if key.startswith(begin)]


def subject_word(subject: str) -> str:
    """Return what people call a sort of thing."""
    key = f"history.subject.{subject}"
    return t(key) if key in catalogue() else subject.replace("_", " ")
