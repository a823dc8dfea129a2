"""What somebody at a shell asks to be exported: names and words, made a definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from kilowatch.catalog import data_points, registry
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli.registration import organisation_named
from kilowatch.exports.definition import EXTRAS, FORMATS, HALF_HOURS, Definition, read, refused
from kilowatch.model.errors import KilowatchError

NONE = "none"
NOT_FOUND = 404
SILENT = "kilowatch-silent"
"""Header of the platform's answer: how many data points have nothing in the period, and some of
their names, as JSON."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where figures are taken from, by name.

    Attributes:
        organisations: Whole ones, or where sites and data points are looked for.
        sites: Whole sites.
        points: Stream ids or names.
    """

    organisations: Sequence[str]
    sites: Sequence[str]
    points: Sequence[str]

    def codes(self, session: Session) -> list[tuple[str, str]]:
        """Return them as an address names them; without any, the only organisation.

        Raises:
            KilowatchError: Something is unknown, or several are meant by one name.
        """
        owners = [registry.find_organisation(session, name) for name in self.organisations]
        if not self.sites and not self.points:
            owners = owners or [organisation_named(session, None)]
            return [("place", f"o{one.id}") for one in owners]
        owners = owners or registry.organisations(session)
        found = [f"s{_one(session, owners, name, registry.find_site)}" for name in self.sites]
        find = data_points.find_data_point
        found += [f"p{_one(session, owners, name, find)}" for name in self.points]
        return [("place", code) for code in found]


def _one(
    session: Session,
    owners: Sequence[Organisation],
    name: str,
    find: Callable[[Session, Organisation, str], Site | DataPoint],
) -> int:
    """Return the number of what one of the organisations calls by a name.

    Raises:
        KilowatchError: None of them has it, or several have.
    """
    found: dict[str, int] = {}
    unknown: KilowatchError | None = None
    for owner in owners:
        try:
            found[owner.name] = find(session, owner, name).id
        except KilowatchError as error:
            if error.status != NOT_FOUND:
                raise
            unknown = error
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise KilowatchError(
            "which_organisation",
            f"Several organisations have a {name!r}.",
            remedy=f"Name one with --organization: {', '.join(map(repr, sorted(found)))}.",
        )
    if unknown is not None and len(owners) == 1:
        raise unknown
    raise KilowatchError(
        "unknown_place",
        f"No organisation has a {name!r}.",
        status=NOT_FOUND,
        remedy="'kilowatch site list' and 'kilowatch data-point list' show what there is.",
    )


def definition(
    places: Sequence[tuple[str, str]], words: Mapping[str, str | None], **several: Sequence[str]
) -> Definition:
    """Return what is exported; nothing that was typed is passed over.

    Args:
        places: As an address names them.
        words: What was said once: period, from, until, grain, layout, phases, zone, units.
        several: What may be said several times: parameter, extras.

    Raises:
        KilowatchError: 400 ``bad_export``, with what there is to choose from.
    """
    told = {name: word for name, word in words.items() if word is not None}
    extras = several["extras"]
    for word in extras:
        if word not in (NONE, *EXTRAS):
            choice = ", ".join((NONE, *EXTRAS))
            raise refused(f"{word[:40]!r} is no further column.", f"Use {choice}.", "with")
    if "from" in told or "until" in told:
        if told.setdefault("period", "custom") != "custom":
            raise refused(
                f"A period ({told['period']}) and days (--from, --until) were both named.",
                "Leave one of them out.",
                "period",
            )
        told.setdefault("until", told.get("from", ""))
    asked = read(
        [
            *places,
            *told.items(),
            *(("parameter", word) for word in several["parameter"]),
            *(("with", word) for word in extras),
        ]
    )
    if asked.period == "custom" and str(asked.first) != told["from"].strip():
        raise refused(
            f"{told['until']} lies before {told['from']}.", "Exchange --from and --until.", "from"
        )
    if "half_hours" in extras and "half_hours" not in asked.extras:
        raise refused(
            f"Rows of {asked.grain!r} have no number of a half hour.",
            f"Use --grain {', '.join(sorted(HALF_HOURS))}.",
            "with",
        )
    return asked


def format_of(named: str | None, file: str) -> str:
    """Return the format that was named, or else that of the file's ending; CSV without either.

    Raises:
        KilowatchError: 400 ``bad_export``.
    """
    ending = file.rpartition(".")[2].lower() if "." in file else ""
    word = named or (ending if ending in FORMATS else "")
    if word in FORMATS:
        return word
    if named is None and not ending:
        return "csv"
    what = repr(word or f".{ending}")
    raise refused(f"{what} is no format.", f"Name one with --format: {', '.join(FORMATS)}.")
