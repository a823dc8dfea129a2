"""``kilowatch credential add``, ``list`` and ``revoke``: who may push, and who may not any more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.orm import Session

from kilowatch.catalog import credentials, data_points, people, registry
from kilowatch.catalog.credentials import Target
from kilowatch.catalog.settings_check import one_of
from kilowatch.catalog.tables import SCOPES, Credential, Organisation
from kilowatch.cli.folder import DEFAULT, demo_beside
from kilowatch.cli.options import Data
from kilowatch.cli.registration import (
    AsJson,
    OrganisationName,
    Server,
    chosen_environment,
    organisation_named,
    paper,
    show,
)
from kilowatch.model.errors import KilowatchError

credential = typer.Typer(no_args_is_help=True, help="Issue, list and revoke push credentials.")

REACHES = {
    "meter": "one data point",
    "user": "what that person may see",
    "site": "every data point of the site",
    "partner": "every data point of the organisation",
}


@credential.command()
def add(
    *,
    organization: OrganisationName = None,
    scope: Annotated[
        str | None,
        typer.Option(metavar="|".join(SCOPES), help="How far it reaches.", show_default="partner"),
    ] = None,
    site: Annotated[str | None, typer.Option(help="Name of the site, for the scope site.")] = None,
    data_point: Annotated[
        str | None, typer.Option(help="Stream id or name, for the scope meter.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="E-mail address, for the scope user.")] = None,
    environment: Annotated[
        str | None, typer.Option(help="development or production.", show_default="the server's")
    ] = None,
    name: Annotated[str, typer.Option(help="What you call it, such as the gateway's name.")] = "",
    data: Data = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Issue a credential; its password is shown once."""
    server = Server.of(data)
    where = chosen_environment(environment, server)
    given = {"site": site, "meter": data_point, "user": user}
    wanted = _scope(scope, {key for key, word in given.items() if word is not None})
    key = server.key()
    with server.change() as change:
        organisation = organisation_named(change.session, organization)
        target = _target(change.session, organisation, wanted, given.get(wanted) or "")
        issued = credentials.issue(change, key, target, environment=where, name=name)
    inside = target.inside
    reached = organisation.name if inside is None else getattr(inside, "email", inside.name)
    if as_json:
        row = _for_programs(issued.credential, organisation.name, reached)
        said = {"push_url": server.push_https, "password": issued.secret, **row}
        typer.echo(json.dumps(said, indent=1, ensure_ascii=False))
        return
    out = paper()
    out.print(f"Credential for {reached}: it reaches {REACHES[wanted]}, in {where}.", markup=False)
    out.print(f"  user name  {issued.credential.username}", markup=False)
    out.print(f"  password   {issued.secret}   (shown only now)", markup=False)
    out.print(f"  address    {server.push_https}", markup=False)


@credential.command("list")
def list_all(
    organization: OrganisationName = None, data: Data = DEFAULT, as_json: AsJson = False
) -> None:
    """List credentials, revoked ones included; secrets are not kept and not shown."""
    with Server.of(data).reading() as session:
        only = registry.find_organisation(session, organization).id if organization else None
        rows = credentials.listing(session, only)
    if as_json:
        found = [_for_programs(r.credential, r.organisation, r.target) for r in rows]
        typer.echo(json.dumps(found, indent=1, ensure_ascii=False))
        return
    if not rows:
        paper().print("There is no credential yet." + demo_beside(data.absolute()))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("user name", no_wrap=True)
    for title in ("scope", "reaches", "organisation", "environment", "last used", "state"):
        table.add_column(title)
    for row in rows:
        one = row.credential
        state = "[red]revoked[/red]" if one.revoked_at_ms is not None else "valid"
        cells = (one.username, one.scope, row.target, row.organisation, one.environment)
        table.add_row(*map(escape, cells), _when(one.last_used_ms) or "never", state)
    show(table)


@credential.command()
def revoke(
    username: Annotated[str, typer.Argument(help="As 'kilowatch credential list' shows it.")],
    data: Data = DEFAULT,
) -> None:
    """Revoke a credential for good; the running server refuses it within a second."""
    with Server.of(data).change() as change:
        revoked = credentials.revoke(change, username)
        now_ms = change.now_ms
    if revoked.revoked_at_ms == now_ms:
        paper().print(f"Revoked {revoked.username}: its pushes are answered 401 from now on.")
    else:
        since = _when(revoked.revoked_at_ms)
        paper().print(f"{revoked.username} was revoked already, on {since}. Nothing was changed.")


def _scope(asked: str | None, given: set[str]) -> str:
    if asked is None and len(given) <= 1:
        return next(iter(given), "partner")
    scope = one_of("scope", asked, SCOPES) if asked is not None else "partner"
    needed = {scope} - {"partner"}
    if given == needed:
        return scope
    flags = {"site": "--site", "meter": "--data-point", "user": "--user"}
    wanted = flags.get(scope)
    raise KilowatchError(
        "scope_and_target",
        f"The scope {scope!r} needs {wanted} and nothing else."
        if wanted
        else "The scope 'partner' reaches the whole organisation and takes no target.",
        remedy="A credential reaches one thing: give one of --site, --data-point and --user, "
        "or none for the whole organisation.",
    )


def _target(session: Session, organisation: Organisation, scope: str, name: str) -> Target:
    if scope == "site":
        return Target(organisation, registry.find_site(session, organisation, name))
    if scope == "meter":
        return Target(organisation, data_points.find_data_point(session, organisation, name))
    if scope == "partner":
        return Target(organisation)
    user = people.find_by_email(session, name)
    if user is None:
        raise KilowatchError(
            "unknown_user",
            f"Nobody has an account with the address {name!r}.",
            status=404,
            remedy=f"{organisation.name} has: "
            + ", ".join(user.email for user, _ in people.members(session, organisation.id)[:10]),
        )
    return Target(organisation, user)


def _for_programs(one: Credential, organisation: str, target: str) -> dict[str, Any]:
    return {
        "username": one.username,
        "scope": one.scope,
        "target": target,
        "organization": organisation,
        "environment": one.environment,
        "name": one.name,
        "created_at": _when(one.created_at_ms),
        "last_used_at": _when(one.last_used_ms),
        "revoked_at": _when(one.revoked_at_ms),
    }


def _when(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")


def register(app: typer.Typer) -> None:
    """Add ``kilowatch credential`` to the command line."""
    app.add_typer(credential, name="credential")
