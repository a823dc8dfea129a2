"""``kilowatch data-point formula``: a data point that is computed from others."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.markup import escape
from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import Change, formula_use, formulas, registry, spans
from kilowatch.catalog.formulas import Wish
from kilowatch.catalog.tables import DataPoint, Organisation, Site
from kilowatch.cli.dated_lines import local_text
from kilowatch.cli.dated_settings import dated_change
from kilowatch.cli.explain import instant_ms
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import AsJson, OrganisationName, Server, organisation_named, paper
from kilowatch.model.errors import KilowatchError


def formula(
    *,
    name: Annotated[str, typer.Argument(help="What the data point is called.")],
    text: Annotated[
        str | None,
        typer.Option(
            help="What it is computed from: '[Main supply].energy / 1200 m2'. Left out, the "
            "formula is shown."
        ),
    ] = None,
    organization: OrganisationName = None,
    site: Annotated[
        str | None, typer.Option(help="Whose clock counts its days; needed among several.")
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="15m, 1h, 1d.", show_default="the longest of its inputs")
    ] = None,
    utility: Annotated[
        str | None,
        typer.Option(help="What it counts as.", metavar="WORD", show_default="as its inputs"),
    ] = None,
    from_date: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="From when on a changed formula holds: 2026-03-01, in the site's local time.",
            show_default="for all time",
        ),
    ] = None,
    undo: Annotated[
        str | None,
        typer.Option(help="Take a dated formula back: formula-3, as the formula shows it."),
    ] = None,
    comment: Annotated[str, typer.Option(help="Why, for the history.")] = "",
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Register, change or show a data point that is computed from others by a formula."""
    server = Server.of(data)
    if undo is not None:
        _, number = dated_change(undo, {"formula"}, "The formula shows the words: formula-3.")
        with server.change() as change:
            known = _known(change.session, organisation_named(change.session, organization), name)
            formulas.take_back(change, known.id, number)
            found = _told(change.session, known)
        _say(found, "Changed", as_json=as_json)
        return
    if text is None:
        with server.reading() as session:
            owner = organisation_named(session, organization)
            found = _told(session, _known(session, owner, name))
        _say(found, "", as_json=as_json)
        return
    wish = Wish(text, spans.parse_interval(interval) if interval else None, utility)
    with server.change() as change:
        owner = organisation_named(change.session, organization)
        names = formulas.names_of(change.session, owner.id)
        point = _find(change.session, owner, name)
        if point is None and from_date is not None:
            _known(change.session, owner, name)
        if point is None:
            place = _place(change, owner, site)
            point = formulas.create(change, place, name, wish, names)
            did = "Registered"
        else:
            zone = change.session.get_one(Site, point.site_id).zone
            from_ms = None if from_date is None else instant_ms(from_date, zone)
            formulas.change(
                change, point.id, point.name, wish, names, from_ms=from_ms, comment=comment
            )
            did = "Changed"
        found = _told(change.session, point)
    _say(found, did, as_json=as_json)


def _find(session: Session, owner: Organisation, name: str) -> DataPoint | None:
    """Return the formula with this name; None if there is none yet."""
    numbers = list(formula_use.texts_of(session, owner.id))
    mine = select(DataPoint).where(DataPoint.id.in_(numbers), DataPoint.name == name)
    found = list(session.scalars(mine.limit(2)))
    if len(found) > 1:
        raise KilowatchError(
            "ambiguous_name",
            f"{owner.name} has several formulas named {name!r}.",
            remedy="Change it on its page: Administration, Data points.",
        )
    return found[0] if found else None


def _known(session: Session, owner: Organisation, name: str) -> DataPoint:
    found = _find(session, owner, name)
    if found is None:
        raise KilowatchError(
            "unknown_formula",
            f"{owner.name} has no formula named {name!r}.",
            status=404,
            remedy="Give --text to register it.",
        )
    return found


def _place(change: Change, owner: Organisation, name: str | None) -> Site:
    there = registry.sites(change.session, owner.id)
    key = registry.name_key(name or "")
    found = [one for one in there if not name or registry.name_key(one.name) == key]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(one.name) for one in there[:10])
    raise KilowatchError(
        "which_site", "Which site does it belong to?", remedy=f"Give --site; there are: {names}."
    )


def _told(session: Session, point: DataPoint) -> dict[str, Any]:
    kept = formula_use.formula_of(session, point.id)
    assert kept is not None
    names = formulas.names_of(session, point.organisation_id)
    periods = formula_use.periods_of(session, point.id)
    zone = session.get_one(Site, point.site_id).zone
    texts = [kept.text, *(one.text for one in periods)]
    return {
        "name": point.name,
        "stream_id": point.stream_id,
        "formula": names.with_names(texts[-1]),
        "first_formula": names.with_names(texts[0]),
        "dated": [
            {
                "undo": f"formula-{one.id}",
                "from_ms": one.from_ms,
                "from": local_text(one.from_ms, zone),
                "formula": names.with_names(one.text),
                "comment": one.comment,
            }
            for one in periods
        ],
        "unit": point.unit,
        "behaviour": point.behaviour,
        "interval_s": point.interval_s,
        "utility": point.utility,
    }


def _say(found: dict[str, Any], did: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    out = paper()
    if did:
        out.print(f"{did} [bold]{escape(found['name'])}[/bold]: its history is computed now.")
    out.print(f"[bold]{escape(found['formula'])}[/bold]")
    if found["dated"]:
        out.print(f"until then: {found['first_formula']}", markup=False)
    for one in found["dated"]:
        because = f" ({one['comment']})" if one["comment"] else ""
        out.print(f"from {one['from']}: {one['formula']}{because}", markup=False)
        out.print(f"  to take it back: --undo {one['undo']}", markup=False)
    interval = spans.interval_text(found["interval_s"])
    unit = found["unit"] or "a plain number"
    out.print(f"{unit}, {found['behaviour']}, every {interval}, {found['utility']}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add the command to ``kilowatch data-point``."""
    app.command("formula")(formula)
