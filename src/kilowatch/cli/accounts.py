"""``kilowatch account``: lets the operator help somebody who can't get in by themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from kilowatch.catalog import people, second_factor, secrets
from kilowatch.cli.folder import DEFAULT
from kilowatch.cli.registration import Data, Server, paper
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
        user = people.find_by_email(change.session, email)
        if user is None:
            raise KilowatchError(
                "unknown_user",
                f"There is no account {email!r}.",
                status=404,
                remedy="Check the address; somebody new is invited under People in the dashboard.",
            )
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


def register(app: typer.Typer) -> None:
    """Add ``kilowatch account`` to the command line."""
    app.add_typer(account, name="account")
