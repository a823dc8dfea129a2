"""Ways back for what has a date: settings of data points, and time zones of sites."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import formulas, point_settings, reshaping, site_zones
from kilowatch.catalog.changes import Change
from kilowatch.catalog.factors_check import FACTORS
from kilowatch.catalog.formula_story import Story
from kilowatch.catalog.formula_use import formula_of, refuse_broken, refuse_computed
from kilowatch.catalog.histories import COLUMNS
from kilowatch.catalog.registry import check_name
from kilowatch.catalog.rights import Person
from kilowatch.catalog.same_names import refuse_same_rename
from kilowatch.catalog.tables import Appliance, AuditEntry, DataPoint, Meter, Site
from kilowatch.catalog.tables_formulas import FormulaPeriod
from kilowatch.catalog.tables_settings import PointSetting, SiteZone
from kilowatch.catalog.undoing_ways import CHANGED_SINCE, SetBack, are, not_of

DATED_BESIDE = "dated_beside"
_PLACE = frozenset({"site_id", "meter_id", "appliance_id", "parent_id"})
_SETTINGS = frozenset(COLUMNS) - {"parent_id"}
_KNOWN = _PLACE | _SETTINGS | {"name", "utility"}


@dataclass(frozen=True, slots=True)
class DataPointBack:
    """A change of a data point for all time: name, utility, settings, and where it hangs."""

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        columns = entry.after.keys() | entry.before.keys()
        if not columns or columns - _KNOWN:
            return not_of(set(columns - _KNOWN))
        row = session.get(DataPoint, entry.subject_id)
        if row is None or not are(row, entry.after):
            return CHANGED_SINCE
        dated = select(PointSetting.fields).where(
            PointSetting.data_point_id == row.id, PointSetting.from_ms.is_not(None)
        )
        if any(columns & fields.keys() for fields in session.scalars(dated)):
            return DATED_BESIDE
        return ""

    def take_back(self, change: Change, _who: Person, entry: AuditEntry) -> None:
        """Set it back with the checks of the form and of the page that moves it."""
        point, before = change.session.get_one(DataPoint, entry.subject_id), entry.before
        if "name" in before:
            name = check_name(before["name"], "data point")
            refuse_same_rename(change, point, name)
            point.name = name
        point.utility = before.get("utility", point.utility)
        if before.keys() & _PLACE:
            now = {name: before.get(name, getattr(point, name)) for name in _PLACE}
            appliance, parent = now["appliance_id"], now["parent_id"]
            reshaping.move_data_point(
                change,
                point,
                change.session.get_one(Meter, now["meter_id"]),
                change.session.get(Appliance, appliance) if appliance is not None else None,
                change.session.get(DataPoint, parent) if parent is not None else None,
            )
        settings = {name: value for name, value in before.items() if name in _SETTINGS}
        if settings or "utility" in before:
            refuse_computed(change.session, point.id, "Undo the change of its formula.")
        if settings:
            point_settings.change_always(change, point, settings)
        change.session.flush()
        refuse_broken(change.session, point)


@dataclass(frozen=True, slots=True)
class SettingBack:
    """A dated setting, or a factor for all time, that was added, changed or dropped."""

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        if "fields" not in entry.after and "fields" not in entry.before:
            return "by_hand"  # only its comment
        row = session.get(PointSetting, entry.subject_id)
        if entry.action == "removed":
            point_id, from_ms = entry.before["data_point_id"], entry.before.get("from_ms")
            here = select(PointSetting.id).where(
                PointSetting.data_point_id == point_id, PointSetting.from_ms == from_ms
            )
            if session.scalar(here) is not None:
                return CHANGED_SINCE
        elif row is None or row.fields != entry.after["fields"]:
            return CHANGED_SINCE
        else:
            from_ms = row.from_ms
        return "" if from_ms is not None or self._factors(entry) else DATED_BESIDE

    def take_back(self, change: Change, _who: Person, entry: AuditEntry) -> None:
        """Let hold from then on what held, or give factors what they were for all time."""
        row = change.session.get(PointSetting, entry.subject_id)
        point_id = entry.before["data_point_id"] if row is None else row.data_point_id
        from_ms = entry.before.get("from_ms") if row is None else row.from_ms
        point = change.session.get_one(DataPoint, point_id)
        if from_ms is None:
            point_settings.change_always(change, point, self._factors(entry))
        else:
            fields = entry.before.get("fields", {})
            point_settings.put_back(change, point, from_ms, fields)

    def _factors(self, entry: AuditEntry) -> dict[str, Any]:
        """Return what the entry changed of the factors, as they were before it."""
        before, after = entry.before.get("fields", {}), entry.after.get("fields", {})
        return {
            name: before.get(name, usual)
            for name, usual in FACTORS.items()
            if before.get(name, usual) != after.get(name, usual)
        }


@dataclass(frozen=True, slots=True)
class FormulaBack:
    """A formula that holds from a date on, and was added, changed or dropped."""

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        row = session.get(FormulaPeriod, entry.subject_id)
        if entry.action == "removed":
            same = {name: entry.before[name] for name in ("data_point_id", "from_ms")}
            there = session.scalar(select(FormulaPeriod.id).filter_by(**same))
            return "" if there is None else CHANGED_SINCE
        if "text" not in entry.after:
            return "by_hand"  # only its comment
        return "" if row is not None and row.text == entry.after["text"] else CHANGED_SINCE

    def take_back(self, change: Change, _who: Person, entry: AuditEntry) -> None:
        """Let hold from then on what held before the entry."""
        session = change.session
        row = session.get(FormulaPeriod, entry.subject_id)
        if row is None:  # under its number again
            columns: dict[str, Any] = dict(entry.before) | {"id": entry.subject_id}
            columns |= {"created_at_ms": change.now_ms, "organisation_id": entry.organisation_id}
            row = FormulaPeriod(**columns)
            session.add(row)
            session.flush()
        formula = formula_of(session, row.data_point_id)
        assert formula is not None, "a formula is never removed"
        story = Story.of(session, formula)
        if "text" in entry.before:
            story.later[row.from_ms] = entry.before["text"]
        else:
            del story.later[row.from_ms]
        formulas.put(change, formula, story)


@dataclass(frozen=True, slots=True)
class ZoneBack:
    """A dated time zone of a site; ``facts`` is the way back of the site's own columns."""

    facts: SetBack | None = None

    @classmethod
    def of_site(cls, facts: SetBack) -> ZoneBack:
        """Return the way back of a site: its zone for all time, as long as none is dated."""
        return cls(facts)

    def why_not(self, session: Session, entry: AuditEntry) -> str:
        """Return the word for why it cannot be; empty if it can."""
        if self.facts is not None:
            dated = select(SiteZone.id).where(SiteZone.site_id == entry.subject_id).limit(1)
            found = self.facts.why_not(session, entry)
            if not found and "zone" in entry.after and session.scalar(dated) is not None:
                return DATED_BESIDE
            return found
        row = session.get(SiteZone, entry.subject_id)
        if entry.action == "removed":
            from_ms = entry.before.get("from_ms")
            same = {"site_id": entry.before["site_id"], "from_ms": from_ms}
            if session.scalar(select(SiteZone.id).filter_by(**same)) is not None:
                return CHANGED_SINCE
        elif row is None or not are(row, entry.after):
            return CHANGED_SINCE
        else:
            from_ms = row.from_ms
        return "" if from_ms is not None else DATED_BESIDE

    def take_back(self, change: Change, who: Person, entry: AuditEntry) -> None:
        """Let the zone hold from then on that held, or none of its own."""
        if self.facts is not None:
            self.facts.take_back(change, who, entry)
            return
        row = change.session.get(SiteZone, entry.subject_id)
        if row is not None and entry.action == "created":
            site_zones.undo_zone(change, change.session.get_one(Site, row.site_id), row.id)
            return
        site_id = entry.before["site_id"] if row is None else row.site_id
        from_ms = entry.before.get("from_ms") if row is None else row.from_ms
        assert from_ms is not None, "why_not said so"
        site = change.session.get_one(Site, site_id)
        site_zones.change_zone_from(change, site, entry.before["zone"], from_ms)
