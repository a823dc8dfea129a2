"""What a data point is computed from over time, as a person changes it and as it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from kilowatch.catalog.changes import Change
from kilowatch.catalog.formula_use import periods_of
from kilowatch.catalog.tables_formulas import Formula, FormulaPeriod


@dataclass(slots=True)
class Story:
    """Formulas over time, with numbers in place of names.

    Attributes:
        always: The first one; the only one as long as nothing is dated.
        later: From when on which other one [ms since 1970, UTC].
    """

    always: str
    later: dict[int, str]

    @staticmethod
    def of(session: Session, formula: Formula) -> Story:
        """Return what is kept."""
        periods = periods_of(session, formula.data_point_id)
        return Story(formula.text, {one.from_ms: one.text for one in periods})

    @property
    def texts(self) -> list[str]:
        """The formulas in the order of time."""
        return [self.always, *(text for _, text in sorted(self.later.items()))]

    def settle(self) -> None:
        """Let go of dates on which nothing changes."""
        before = self.always
        for from_ms, text in sorted(self.later.items()):
            if text == before:
                del self.later[from_ms]
            before = text

    def write(self, change: Change, formula: Formula, dated: tuple[int | None, str]) -> None:
        """Keep it: rows that stay the same are left alone.

        Args:
            change: An open change.
            formula: The data point's row.
            dated: Of which date a comment speaks [ms since 1970, UTC], and the comment.
        """
        at_ms, comment = dated
        formula.text = self.always
        wanted = dict(self.later)
        for row in periods_of(change.session, formula.data_point_id):
            text = wanted.pop(row.from_ms, None)
            if text is None:
                change.session.delete(row)
                continue
            row.text = text
            if comment and row.from_ms == at_ms:
                row.comment = comment
        for from_ms, text in wanted.items():
            change.session.add(
                FormulaPeriod(
                    organisation_id=formula.organisation_id,
                    data_point_id=formula.data_point_id,
                    from_ms=from_ms,
                    text=text,
                    comment=comment if at_ms in (None, from_ms) else "",
                    created_at_ms=change.now_ms,
                )
            )
