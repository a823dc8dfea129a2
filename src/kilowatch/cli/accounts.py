"""``kilowatch account``: what whoever runs the server does for people who can't themselves."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy import select
from sqlalchemy.orm import Session

from kilowatch.catalog import people, registry, second_factor, secrets
from kilowatch.catalog.startup import DEFAULT_COUNTRY
from kilowatch.catalog.tables import ROLES, User
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.options import Data
from kilowatch.cli.registration import Server, paper
from kilowatch.model.errors import KilowatchError

account = typer.Typer(help="Accounts of people.", no_args_is_help=True)


@account.command()
def reset(
    email: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose account.")],
    data: Data = DEFAULT,
    remove_second_factor: Annotated[
        bool, typer.Option("--remove-second-factor", help="For a lost phone without codes.")
    ] = False,
) -> None:
    """Give an account a new password, shown once; every session of it ends."""
    server = Server.of(data)
    with server.change() as change:
        user = _user(change.session, email)
        password = secrets.new_password()
        people.set_password(change, user.id, password)
        if remove_second_factor:
            second_factor.remove(change, user.id)
        address = user.email
    out = paper()
    out.print(f"New password of {address}, shown only now: {password}", markup=False)
    out.print("Every session of this account has ended. Change the password after the log-in.")
    if remove_second_factor:
        out.print("The account has no second factor any more.")


@account.command()
def first(
    email: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose account.")],
    organization: Annotated[
        str, typer.Option("--organization", metavar="NAME", help="Whose energy it is.")
    ],
    country: Annotated[str, typer.Option(help="Two letters.")] = DEFAULT_COUNTRY,
    data: Data = DEFAULT,
) -> None:
    """Make the first account of an empty server, with its organisation; shows the password once.

    The dashboard leads on from there to the first site, data point and packet.
    """
    server = Server.of(data)
    with server.change() as change:
        if change.session.scalar(select(User.id).limit(1)) is not None:
            raise KilowatchError(
                "accounts_exist",
                "Somebody has an account here already, so this would not be the first.",
                status=409,
                remedy="Let them invite you, or run 'kilowatch account reset' for a lost password.",
            )
        live = server.environment == "production"
        owner = registry.add_organisation(change, organization, country=country, live=live)
        user, password = people.add_user(change, email)
        people.set_role(change, user, owner, "partner administrator")
        address = user.email
    out = paper()
    out.print(f"Dashboard  {server.dashboard}", markup=False)
    out.print(f"Account    {address}", markup=False)
    out.print(f"Password   {password}", markup=False)
    out.print("The password is shown only now. Log in: the dashboard leads on to the first graph.")


@account.command()
def role(
    email: Annotated[str, typer.Argument(metavar="ADDRESS", help="Whose account.")],
    organization: Annotated[str, typer.Argument(metavar="ORGANIZATION", help="Where.")],
    called: Annotated[str, typer.Argument(metavar="ROLE", help=", ".join(ROLES) + ".")],
    data: Data = DEFAULT,
) -> None:
    """Give somebody a role in an organisation, such as the first partner administrator.

    In the dashboard nobody gives more than they have; whoever runs the server may.
    """
    with Server.of(data).change() as change:
        user = _user(change.session, email)
        place = registry.find_organisation(change.session, organization)
        people.set_role(change, user, place, called)  # type: ignore[arg-type] # it is checked
        address, name = user.email, place.name
    paper().print(f"{address} is {called} of {name} now.", markup=False)


def _user(session: Session, email: str) -> User:
    user = people.find_by_email(session, email)
    if user is None:
        raise KilowatchError(
            "unknown_user",
            f"There is no account {email!r}.",
            status=404,
            remedy="Check the address; somebody new is invited under People in the dashboard.",
        )
    return user


def register(app: typer.Typer) -> None:
    """Add ``kilowatch account`` to the command line."""
    app.add_typer(account, name="account")
